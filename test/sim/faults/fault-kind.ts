/**
 * What a kind of fault is: which parameters it has, how they are drawn, and how it begins and ends.
 * Everything is drawn before the run, into plain JSON; a fault that has begun draws nothing, so that
 * leaving one out of a plan leaves the others exactly as they were.
 */
import { z } from "zod";
import type { Prng } from "../../../src/base/prng.ts";
import type { Stage } from "./stage.ts";
import type { Target } from "./target.ts";

/** `beyond`: more than the promise covers; drawn only in runs that mean it. */
export const FAULT_CLASSES = ["process", "network", "disk", "clock", "beyond"] as const;
export type FaultClass = (typeof FAULT_CLASSES)[number];

/** One injected fault; each kind has its own parameters beside these. */
export interface Fault {
  /** Since the faulty phase began, in virtual ms. */
  readonly atMs: number;
  readonly kind: string;
  /** 0: it has no end of its own, it happens once. */
  readonly durationMs: number;
}

/** What a kind may look at when its parameters are drawn. */
export class FaultDraw {
  readonly prng: Prng;
  readonly brokersCount: number;

  constructor(prng: Prng, brokersCount: number) {
    this.prng = prng;
    this.brokersCount = brokersCount;
  }

  /** By id half of the time, by role otherwise: leaders are where most can go wrong. */
  target(): Target {
    const { prng, brokersCount } = this;
    const byId = prng.between(1, brokersCount);
    const partition = prng.below(4);
    switch (prng.below(8)) {
      case 0:
        return "active controller";
      case 1:
      case 2:
        return `leader of partition ${partition}`;
      case 3:
        return `follower of partition ${partition}`;
      default:
        return byId;
    }
  }

  /** Broker ids in drawn order. */
  order(): number[] {
    return this.prng.shuffle(Array.from({ length: this.brokersCount }, (_, index) => index + 1));
  }
}

export interface FaultKind {
  readonly kind: string;
  readonly class: FaultClass;
  /** Of a whole fault of this kind. */
  readonly schema: z.ZodType<Fault>;
  draw(draw: FaultDraw): Omit<Fault, "atMs" | "kind">;
  /** Whether a cluster of that size can have it. */
  readonly brokersMin: number;
  /** False: it cannot happen now (nobody has the role, or the promise does not cover it). */
  begin(stage: Stage, fault: Fault): boolean;
}

interface Definition<Shape extends z.ZodRawShape> {
  readonly kind: string;
  readonly class: FaultClass;
  readonly params: Shape;
  readonly brokersMin?: number;
  draw(draw: FaultDraw): z.infer<z.ZodObject<Shape>> & { readonly durationMs: number };
  begin(stage: Stage, fault: z.infer<z.ZodObject<Shape>> & Fault): boolean;
}

const MS_MAX = 24 * 3_600_000;
export const ms = z.number().int().min(0).max(MS_MAX);

export function defineFault<Shape extends z.ZodRawShape>(definition: Definition<Shape>): FaultKind {
  const { kind, params, begin, draw } = definition;
  const schema = z.strictObject({
    atMs: ms,
    kind: z.literal(kind),
    ...params,
    durationMs: ms,
  });
  return {
    kind,
    class: definition.class,
    schema: schema as unknown as z.ZodType<Fault>,
    brokersMin: definition.brokersMin ?? 1,
    draw,
    begin: (stage, fault) => begin(stage, fault as z.infer<z.ZodObject<Shape>> & Fault),
  };
}
