/** `npm run sim -- --help`. */
import { runCommand } from "./runner/program.ts";

process.exitCode = await runCommand(process.argv.slice(2));
