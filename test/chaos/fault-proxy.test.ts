import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { FaultProxy } from "./proxy/fault-proxy.ts";

// Real sockets on the loopback: an echo behind a proxy. What is slow or silent is told by what has
// come, never by a clock.

const HOST = "127.0.0.1";

let echo: Server;
let proxy: FaultProxy;
let client: Socket;
const served: Socket[] = [];
let heard = "";
let ended = "";

beforeEach(async () => {
  served.length = 0;
  [heard, ended] = ["", ""];
  echo = createServer((socket) => {
    served.push(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, HOST);
  await once(echo, "listening");
  const address = echo.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  proxy = await FaultProxy.listen({ host: HOST, target: { host: HOST, port } });
  client = connect(proxy.port, HOST);
  client.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
  });
  client.on("error", ({ message }) => {
    ended = message;
  });
  client.write("a");
  await eventually("an echo", () => heard === "a");
});

afterEach(async () => {
  client.destroy();
  proxy.close();
  for (const socket of served) socket.destroy();
  echo.close();
  await once(echo, "close");
});

describe("a fault proxy", () => {
  it("keeps the order of what it delays, also once it delays no more", async () => {
    proxy.set({ mode: "open", delayMs: 200 });
    for (const letter of "bcd") {
      client.write(letter);
      await new Promise((resolve) => setImmediate(resolve));
    }
    proxy.set({ mode: "open", delayMs: 0 });
    client.write("e");
    await eventually("all letters", () => heard.length === 5);
    expect(heard).toBe("abcde");
  });

  it("holds everything while it stands still, and loses nothing", async () => {
    proxy.set({ mode: "stall", delayMs: 0 });
    client.write("b");
    // Another connection is taken in meanwhile: the proxy lives, and only passes nothing on.
    const other = connect(proxy.port, HOST);
    await once(other, "connect");
    expect(heard).toBe("a");
    proxy.set({ mode: "open", delayMs: 0 });
    await eventually("what was held", () => heard === "ab");
    other.destroy();
  });

  it("resets what there is and what comes", async () => {
    proxy.set({ mode: "reset", delayMs: 0 });
    await eventually("a reset", () => /ECONNRESET/.test(ended));
    const other = connect(proxy.port, HOST);
    const [error] = (await once(other, "error").catch((thrown: unknown) => [thrown])) as [Error];
    expect(String(error)).toMatch(/ECONNRESET/);
  });

  it("leaves the near end alone where the far end is gone, and swallows its words", async () => {
    proxy.set({ mode: "half-open", delayMs: 0 });
    await eventually("the far end is gone", () => served[0]?.destroyed === true);
    client.write("b");
    await eventually("its words have left", () => client.writableLength === 0);
    expect([client.destroyed, ended, heard]).toEqual([false, "", "a"]);
  });
});
