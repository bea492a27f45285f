/**
 * Sends that cannot join a batch yet: their topic is not known, or memory is short. First come,
 * first served, so that records of one partition keep the order of their sends.
 */
import { OttlaError } from "../../model/errors.ts";
import type { PartitionIndex } from "../../model/ids.ts";

export interface SendJob {
  readonly topic: string;
  /** The largest partition that it names; -1: none. */
  readonly partition: PartitionIndex;
  /** When it has waited long enough, on the monotonic clock. */
  readonly deadlineMs: number;
  /** Adds what there is room for; false if it must go on later. */
  run(): boolean;
  fail(error: OttlaError): void;
  /** Set once it was given up by its caller. */
  readonly abandoned: boolean;
}

/** A queue whose `shift` costs the same however long it is. */
class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  items(): Item[] {
    return this.#items.slice(this.#head);
  }

  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** Sends that may wait; more is a caller who ignores what `send` returns. */
export const WAITING_SENDS_COUNT = 1_000_000;

export class SendQueue<Job extends SendJob> {
  readonly #forRoom = new Fifo<Job>();
  readonly #forTopic = new Map<string, Fifo<Job>>();
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** Whether sends wait for memory. */
  get waitsForRoom(): boolean {
    return this.#forRoom.size > 0;
  }

  /** All that wait. */
  jobs(): Job[] {
    return [...this.#forTopic.values(), this.#forRoom].flatMap((jobs) => jobs.items());
  }

  /** Topics whose metadata is waited for. */
  topics(): string[] {
    return [...this.#forTopic.keys()];
  }

  /** Whether a new send to the topic must queue behind others. */
  isBusy(topic: string): boolean {
    return this.#forRoom.size > 0 || this.#forTopic.has(topic);
  }

  /** Throws BUFFER_EXHAUSTED if too many wait already. */
  waitForRoom(job: Job): void {
    this.#admit();
    this.#forRoom.push(job);
  }

  waitForTopic(job: Job): void {
    this.#admit();
    let jobs = this.#forTopic.get(job.topic);
    if (jobs === undefined) {
      jobs = new Fifo();
      this.#forTopic.set(job.topic, jobs);
    }
    jobs.push(job);
  }

  /**
   * Puts the topic's sends behind those that wait for memory; back stay those that name a partition
   * beyond `partitionsCount`. Returns the first of these, if there are any.
   */
  onTopicKnown(topic: string, partitionsCount: number): Job | undefined {
    const jobs = this.#forTopic.get(topic);
    if (jobs === undefined) return undefined;
    const waiting = new Fifo<Job>();
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      (job.partition < partitionsCount ? this.#forRoom : waiting).push(job);
    }
    if (waiting.size === 0) this.#forTopic.delete(topic);
    else this.#forTopic.set(topic, waiting);
    return waiting.peek();
  }

  failTopic(topic: string, error: OttlaError): void {
    const jobs = this.#forTopic.get(topic);
    if (jobs === undefined) return;
    this.#forTopic.delete(topic);
    this.#failAll(jobs, error);
  }

  /** Runs what there is room for. */
  run(): void {
    for (let job = this.#forRoom.peek(); job !== undefined; job = this.#forRoom.peek()) {
      if (!job.abandoned && !job.run()) return;
      this.#forRoom.shift();
      this.#count--;
    }
  }

  /** Fails sends whose deadline has passed; returns the next deadline, Infinity if none waits. */
  expire(nowMs: number, topicError: (topic: string) => OttlaError): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [topic, jobs] of [...this.#forTopic]) {
      nextMs = Math.min(
        nextMs,
        this.#expire(jobs, nowMs, () => topicError(topic)),
      );
      if (jobs.size === 0) this.#forTopic.delete(topic);
    }
    const exhausted = () =>
      new OttlaError("BUFFER_EXHAUSTED", "no room in bufferMemory within maxBlockMs", {
        field: "bufferMemory",
      });
    return Math.min(nextMs, this.#expire(this.#forRoom, nowMs, exhausted));
  }

  failAll(error: OttlaError): void {
    for (const jobs of this.#forTopic.values()) this.#failAll(jobs, error);
    this.#forTopic.clear();
    this.#failAll(this.#forRoom, error);
  }

  #admit(): void {
    if (this.#count >= WAITING_SENDS_COUNT) {
      throw new OttlaError(
        "BUFFER_EXHAUSTED",
        `${this.#count} sends wait already: wait for earlier ones before sending more`,
      );
    }
    this.#count++;
  }

  #expire(jobs: Fifo<Job>, nowMs: number, error: () => OttlaError): number {
    for (let job = jobs.peek(); job !== undefined; job = jobs.peek()) {
      if (!job.abandoned && job.deadlineMs > nowMs) return job.deadlineMs;
      jobs.shift();
      this.#count--;
      if (!job.abandoned) job.fail(error());
    }
    return Number.POSITIVE_INFINITY;
  }

  #failAll(jobs: Fifo<Job>, error: OttlaError): void {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      this.#count--;
      job.fail(error);
    }
  }
}
