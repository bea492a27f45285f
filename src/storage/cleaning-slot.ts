/** Room for one cleaning of a log at a time, which whoever changes the log otherwise ends first. */
export class CleaningSlot {
  #running: { readonly abort: AbortController; readonly over: Promise<void> } | undefined;

  get isTaken(): boolean {
    return this.#running !== undefined;
  }

  /** The slot must be free. Settles as `work` does. */
  async run<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const abort = new AbortController();
    const result = work(abort.signal);
    const free = (): void => {
      this.#running = undefined;
    };
    this.#running = { abort, over: result.then(free, free) };
    return await result;
  }

  abort(): void {
    this.#running?.abort.abort();
  }

  /** Settles once nothing runs any more. */
  async stop(): Promise<void> {
    this.abort();
    await this.#running?.over;
  }
}
