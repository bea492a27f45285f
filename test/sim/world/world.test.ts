import { expect, test } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import { createMemoryPorts } from "../../support/memory-ports.ts";

// What the simulator itself promises beyond the ports' contracts: a crash ends a life for ever,
// power takes only what was not synced, and time moves only by events.

test("a crash ends every promise and timer of its incarnation", async () => {
  const { ports, world, restart } = createMemoryPorts({ auto: false });
  let fired = 0;
  ports.timers.every(10, () => fired++);
  const slept = ports.timers.sleep(50).then(() => fired++);
  void slept;
  await world.runFor(25);
  expect(fired).toBe(2);
  restart();
  await world.runFor(1_000);
  expect(fired).toBe(2);
  expect(world.nowMs).toBe(1_025);
});

test("power loss keeps what a sync covered, a crash keeps all that settled", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const memory = createMemoryPorts({ auto: false, seed });
    const { world } = memory;
    const store = await world.settle(memory.ports.stores.open("/data/store"));
    const put = (key: string, sync: boolean): Promise<void> =>
      world.settle(
        store.write([{ type: "put", key: utf8(key), value: utf8(`${key}!`) }], { sync }),
      );
    await put("a", false);
    await put("b", true);
    await put("c", false);
    let again = await world.settle(memory.restart("crash").stores.open("/data/store"));
    for (const key of ["a", "b", "c"]) {
      expect(await world.settle(again.get(utf8(key)))).toEqual(utf8(`${key}!`));
    }
    again = await world.settle(memory.restart("power loss").stores.open("/data/store"));
    expect(await world.settle(again.get(utf8("a")))).toEqual(utf8("a!"));
    expect(await world.settle(again.get(utf8("b")))).toEqual(utf8("b!"));
  }
});

test("writes after a full disk are gone at reopening", async () => {
  const memory = createMemoryPorts({ auto: false });
  const { world, node } = memory;
  const store = await world.settle(memory.ports.stores.open("/data/store"));
  const put = (key: string): Promise<void> =>
    world.settle(store.write([{ type: "put", key: utf8(key), value: utf8(key) }], { sync: true }));
  await put("before");
  node.disk.full = true;
  await expect(put("refused")).rejects.toMatchObject({ code: "DISK_FULL" });
  node.disk.full = false;
  await put("after");
  expect(await world.settle(store.get(utf8("after")))).toEqual(utf8("after"));
  await world.settle(store.close());
  const again = await world.settle(memory.ports.stores.open("/data/store"));
  expect(await world.settle(again.get(utf8("before")))).toEqual(utf8("before"));
  expect(await world.settle(again.get(utf8("after")))).toBeUndefined();
});

test("what a held link holds flows on, whole and in order, once it opens", async () => {
  const left = createMemoryPorts({ auto: false, name: "left" });
  const { world, network } = left;
  const right = createMemoryPorts({ auto: false, name: "right", world, network });
  const received: RaftStreamMessage[] = [];
  const listener = await world.settle(
    right.ports.network.listen(
      { host: "", port: 7 },
      {
        raft: (stream) => {
          stream.onMessage = (message) => received.push(message);
        },
        replication: () => {},
        controller: () => {},
        offsets: () => {},
      },
    ),
  );
  const stream = left.ports.network.open(listener.address, "raft");
  const message = (number: number): RaftStreamMessage => ({
    type: "hello",
    node: { id: number, directoryId: "d" },
    clusterId: undefined,
    empty: true,
    formation: [],
  });
  stream.send(message(0));
  await world.runFor(10);
  network.setLink("left", "right", "hold");
  for (let number = 1; number < 20; number++) stream.send(message(number));
  await world.runFor(500);
  expect(received.length).toBe(1);
  network.setLink("left", "right", "open");
  await world.runFor(100);
  expect(received).toEqual(Array.from({ length: 20 }, (_, number) => message(number)));
});

test("an automatic clock lets a test simply await", async () => {
  const { ports, world, dispose } = createMemoryPorts();
  await ports.timers.sleep(3_600_000);
  expect(world.nowMs).toBe(3_600_000);
  dispose();
});
