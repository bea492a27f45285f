/**
 * Work that is asked for often and done once per turn of the event loop: what arrived in one turn
 * (appends, progress, high watermarks) then shares messages, and an idle broker does it at once.
 */
import type { Ports } from "../ports/ports.ts";

export class OncePerTurn {
  readonly #ports: Ports;
  readonly #work: () => void;
  #scheduled = false;

  constructor(ports: Ports, work: () => void) {
    this.#ports = ports;
    this.#work = work;
  }

  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#ports.timers.yield().then(this.#run, this.#fail).catch(this.#fail);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    this.#work();
  };

  readonly #fail = (error: unknown): void => {
    this.#ports.fatal("a task of the event loop failed", error);
  };
}
