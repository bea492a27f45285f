#!/usr/bin/env node
// The command as the package installs it. Node reads ES modules with the threads of libuv's pool,
// whose size is fixed from then on: it must be set here, where nothing has been imported yet.
process.env["UV_THREADPOOL_SIZE"] ??= "8";
void import("./main.ts");
