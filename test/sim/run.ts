/** `npm run sim -- --help`. */
import { runCommand } from "./runner/program.ts";

// A reader that goes away (`| head`) has what it wanted.
process.stdout.on("error", () => process.exit(0));

process.exitCode = await runCommand(process.argv.slice(2));
