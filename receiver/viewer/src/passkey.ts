/** Passkeys in the browser: Web Authentication level 3, its JSON forms as the receiver speaks them. */

type Json = Record<string, unknown>;

/** Whether this page may use passkeys: https by host name, in a browser that knows them. */
export function passkeysHere(): boolean {
  const numeric = /^[\d.]+$|^\[/.test(location.hostname);
  return (
    window.isSecureContext &&
    !numeric &&
    typeof PublicKeyCredential === "function" &&
    "parseCreationOptionsFromJSON" in PublicKeyCredential
  );
}

/** Make a passkey; throws when the person gives up. */
export async function makePasskey(options: Json): Promise<Json> {
  const asked = options as unknown as PublicKeyCredentialCreationOptionsJSON;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked);
  return asJson(await navigator.credentials.create({ publicKey }));
}

/** Let a passkey sign; throws when the person gives up. */
export async function askPasskey(options: Json): Promise<Json> {
  const asked = options as unknown as PublicKeyCredentialRequestOptionsJSON;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
  return asJson(await navigator.credentials.get({ publicKey }));
}

function asJson(made: Credential | null): Json {
  if (!(made instanceof PublicKeyCredential)) throw new Error("no passkey");
  return made.toJSON() as unknown as Json;
}
