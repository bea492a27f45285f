/** What the cleaner's process and whoever starts it agree on. */
export const KEYS_COUNT = 100_000;
export const VALUE_BYTES = 100;

export interface CleanerRun {
  readonly megabytesPerSecond: number;
  readonly megabytesPerCpuSecond: number;
  /** Log size after the cleaning, the active segment aside, of the live records' size. */
  readonly sizeRatio: number;
}
