// A real OpenID provider (npm oidc-provider, OpenID certified) on a free port of this machine.
// It says its port on stdout; people are in PEOPLE (JSON): name -> claims.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const people = JSON.parse(process.env.PEOPLE);
const server = createServer((request, response) => provider.callback()(request, response));
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "todoke",
      client_secret: process.env.SECRET,
      redirect_uris: [process.env.BACK],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  cookies: { keys: ["for this test alone"] },
  claims: { openid: ["sub"], profile: ["name", "preferred_username", "roles"] },
  findAccount: (_context, name) => ({
    accountId: name,
    claims: () => ({ sub: name, ...people[name] }),
  }),
  pkce: { required: () => true },
});
console.log(JSON.stringify({ issuer }));
