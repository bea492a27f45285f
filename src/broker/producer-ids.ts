/** Ids for idempotent producers, from blocks that the controller gives to this broker (KIP-730). */
import type { ControllerRequests } from "../metadata/commands.ts";
import type { ProducerEpoch, ProducerId } from "../model/ids.ts";

type Block = ControllerRequests["allocate-producer-ids"]["reply"];

/** With so little of a block left the next one is fetched, so that nobody waits for it. */
const PREFETCH_FRACTION = 0.1;

export class ProducerIds {
  readonly #allocate: () => Promise<Block>;
  #next: ProducerId = 0;
  #end: ProducerId = 0;
  /** With fewer ids left the next block is fetched. */
  #low = 0;
  #prefetched: Block | undefined;
  #allocating: Promise<void> | undefined;

  constructor(allocate: () => Promise<Block>) {
    this.#allocate = allocate;
  }

  /** A fresh id with epoch 0. Rejects as the controller refuses, NO_QUORUM among others. */
  async init(): Promise<{
    readonly producerId: ProducerId;
    readonly producerEpoch: ProducerEpoch;
  }> {
    while (this.#next >= this.#end) {
      const block = this.#prefetched;
      if (block === undefined) {
        await this.#fetch();
        continue;
      }
      this.#prefetched = undefined;
      this.#next = block.start;
      this.#end = block.start + block.count;
    }
    const producerId = this.#next++;
    const size = this.#prefetched === undefined ? this.#end - this.#next : Number.POSITIVE_INFINITY;
    // A failure shows to the caller that finds the block empty.
    if (size < this.#low) this.#fetch().catch(() => undefined);
    return { producerId, producerEpoch: 0 };
  }

  #fetch(): Promise<void> {
    this.#allocating ??= this.#allocate()
      .then((block) => {
        this.#prefetched = block;
        this.#low = Math.ceil(block.count * PREFETCH_FRACTION);
      })
      .finally(() => {
        this.#allocating = undefined;
      });
    return this.#allocating;
  }
}
