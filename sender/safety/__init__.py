"""What is looked at before anything is sent: each check a module, each finding in words."""
