// Passkeys as the browser makes and shows them, in the JSON that the server speaks.
interface Parsing {
  parseCreationOptionsFromJSON?: (json: unknown) => PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?: (json: unknown) => PublicKeyCredentialRequestOptions;
}
export interface PasskeyOptions {
  publicKey: unknown;
}

const parsing = () => (globalThis as { PublicKeyCredential?: Parsing }).PublicKeyCredential;

/** Whether this browser, at this address, can use passkeys at all. */
export const passkeysWork = () => typeof parsing()?.parseCreationOptionsFromJSON === 'function';

export async function makePasskey(options: PasskeyOptions): Promise<unknown> {
  const publicKey = parsing()?.parseCreationOptionsFromJSON?.(options.publicKey);
  return toJson(await navigator.credentials.create({ publicKey }));
}

export async function showPasskey(options: PasskeyOptions): Promise<unknown> {
  const publicKey = parsing()?.parseRequestOptionsFromJSON?.(options.publicKey);
  return toJson(await navigator.credentials.get({ publicKey }));
}

function toJson(made: Credential | null): unknown {
  return (made as { toJSON?: () => unknown } | null)?.toJSON?.() ?? null;
}

/** Whether somebody closed the browser's question, or let it run out. */
export const wasCancelled = (error: unknown) =>
  error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name);
