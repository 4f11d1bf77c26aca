"""Judges by a rule set what is about to be sent: roles of instances, results of rules, direct.

Pure: no file, clock, disk or network.  What the rules are stands in :mod:`sender.rules`.

The interface (the record and the forged samples are written against it)::

    judge(Counter[Facts], ingest=Ingest("A", "modality"), site=Site()) -> Judgement
    role_of(Facts, set_name) -> Role
    settle(judgement, TransferFacts) -> Judgement      # R7, R10, R12 after the transfer

A Judgement is the JSON object of the contract: rule_set, set, grade, direct, roles, rules
[{id, result, ja, en, count, codes}], as, released, basis {ja, en, code}, ingest.
"""
