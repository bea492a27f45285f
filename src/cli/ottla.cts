#!/usr/bin/env -S node --initial-old-space-size=256 --max-semi-space-size=4
// The command as the package installs it; the flags are those of src/main/node-flags.ts. Node reads ES modules with the threads of libuv's pool,
// whose size is fixed from then on: it must be set here, where nothing has been imported yet.
process.env["UV_THREADPOOL_SIZE"] ??= "8";
void import("./main.ts");
