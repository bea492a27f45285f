#!/usr/bin/env node
import { runCommand } from "./program.ts";

// A reader that goes away (`ottla consume | head`) has what it wanted: no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exit(await runCommand(process.argv.slice(2)));
