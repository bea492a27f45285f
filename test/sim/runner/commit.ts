import { execFileSync } from "node:child_process";

/** The commit that this work tree stands on, with `-dirty` if it was changed; else a plain word. */
export function currentCommit(): string {
  try {
    const words = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    return execFileSync("git", words, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
