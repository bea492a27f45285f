import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../main/package-root.ts";

/** Of the package that this file belongs to. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8"));
  return (manifest as { readonly version: string }).version;
}
