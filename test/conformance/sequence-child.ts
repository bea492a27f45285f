/**
 * Makes the steps of a sequence on a real store, from one on, and says on standard output which
 * writes and steps have settled and what was read: `<step> <write>` and `<step> done <hash>`.
 * Whoever started it ends it with SIGKILL.
 */
import { writeSync } from "node:fs";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { makeStep, stepOf } from "./store-sequence.ts";

const [directory = "", seed = "", from = ""] = process.argv.slice(2);
// Small, so that logs and tables come and go.
const options = { writeBufferBytes: 128 * 1024 };
let store = await levelStores.open(directory, options);

for (let index = Number(from); ; index++) {
  const made = await makeStep(store, stepOf(Number(seed), index), {
    reopen: async (open) => {
      await open.close();
      return levelStores.open(directory, options);
    },
    onWrite: (number) => writeSync(1, `${index} ${number}\n`),
  });
  store = made.store;
  writeSync(1, `${index} done ${made.hash}\n`);
}
