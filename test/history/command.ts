/** `npm run check-history -- FILE`. */
import { runCheckHistory } from "./check-command.ts";

process.exitCode = await runCheckHistory(process.argv.slice(2), {
  stdin: process.stdin,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
});
