/** A verdict for a person: counts, anomalies with the lines that show them, the verdict last. */
import type { Verdict } from "./check.ts";

const TEXT_LENGTH = 240;

/** `find` gives number and text of the line with an index. */
export function tableOf(
  { verdict, anomalies, counts, why }: Verdict,
  find: (index: number) => string,
): string {
  const { operations, anomalies: found } = counts;
  const rows = [
    ["operation", "ok", "fail", "info"],
    ...Object.entries(operations)
      .filter(([, { ok, fail, info }]) => ok + fail + info > 0)
      .map(([name, { ok, fail, info }]) => [name, String(ok), String(fail), String(info)]),
  ];
  const lines = rows.map(
    ([name = "", ...numbers]) =>
      name.padEnd(14) + numbers.map((number) => number.padStart(10)).join(""),
  );
  lines.push(
    "",
    `${counts.lines} lines, ${counts.processes} processes, ${counts.keys} keys, ${counts.reads} records read, ${counts.crashes} crashes, ${counts.faults} faults`,
    `allowed: ${counts.duplicates} duplicates and ${counts.reorderedSends} reordered sends without idempotence, ${counts.lostWithWeakAcks} lost with acks 0 or 1, ${counts.staleReads} read from leaders cut off`,
    "",
  );
  let name = "";
  for (const anomaly of anomalies) {
    if (anomaly.name !== name) lines.push(`${anomaly.name} (${found[anomaly.name]})`);
    name = anomaly.name;
    lines.push(`  ${anomaly.key === "" ? "" : `${anomaly.key}: `}${anomaly.text}`);
    for (const index of anomaly.lines) lines.push(`    ${short(find(index))}`);
  }
  if (anomalies.length > 0) lines.push("");
  lines.push(why.length === 0 ? verdict : `${verdict}: ${why.join("; ")}`, "");
  return lines.join("\n");
}

function short(text: string): string {
  return text.length <= TEXT_LENGTH ? text : `${text.slice(0, TEXT_LENGTH - 3)}...`;
}
