/** Counts what held and what did not, and prints each as it is known. */
export class Checks {
  passed = 0;
  readonly failures: string[] = [];

  get failed(): number {
    return this.failures.length;
  }

  /** Holds if there is nothing to complain about. */
  expect(name: string, complaints: readonly string[]): void {
    if (complaints.length === 0) {
      this.passed++;
      process.stdout.write(`   ok     ${name}\n`);
    } else this.fail(name, complaints.join("\n          "));
  }

  fail(name: string, why: string): void {
    this.failures.push(`${name}: ${why}`);
    process.stdout.write(`   FAILED ${name}\n          ${why}\n`);
  }
}
