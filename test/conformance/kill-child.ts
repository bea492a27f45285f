/**
 * Writes to a store and a slot file for ever, and says on standard output what has settled, so that
 * whoever kills this process with SIGKILL knows what must be there afterwards.
 */
import { writeSync } from "node:fs";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { utf8 } from "../../src/base/bytes.ts";

const [directory = ""] = process.argv.slice(2);
const store = await levelStores.open(`${directory}/store`);
const slot = await nodeFiles.openSlotFile(`${directory}/slot`);

for (let number = 0; ; number++) {
  const key = utf8(String(number).padStart(8, "0"));
  const value = utf8(`value of ${number} `.repeat(1 + (number % 50)));
  // Two keys in one write: after the kill both are there or neither.
  const twin = utf8(`twin-${String(number).padStart(8, "0")}`);
  await store.write(
    [
      { type: "put", key, value },
      { type: "put", key: twin, value },
    ],
    { sync: number % 7 === 0 },
  );
  if (number % 20 === 0) {
    await slot.write(utf8(String(number)));
    writeSync(1, `slot ${number}\n`);
  }
  writeSync(1, `store ${number}\n`);
}
