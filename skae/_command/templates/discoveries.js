// The procedure of Benjamini and Hochberg (1995), as scipy.stats.false_discovery_control has it.

// Return the largest p-value that is called an anomaly at this rate, and how many rows are.
// `small` has each distinct p-value, in order, and how many rows have it.
function findDiscoveries(small, nRows, rate) {
  const found = { threshold: -1, count: 0 };
  let below = 0;
  for (const [p, count] of small) {
    below += count;
    if (p * (nRows / below) <= rate) {
      found.threshold = p;
      found.count = below;
    }
  }
  return found;
}

function formatPercent(share) {
  return `${Number((share * 100).toPrecision(3))}%`;
}

function formatCount(count) {
  return count.toLocaleString("en");
}

// Return what a rate means: the beginning of the sentence, which is stressed, and the rest.
function describeDiscoveries(count, nRows, rate) {
  const rows = `of ${formatCount(nRows)} ${nRows === 1 ? "row" : "rows"}`;
  if (count === 0) {
    return [`None ${rows}`, " is called an anomaly at this rate."];
  }
  const nOrdinary = count * rate;
  const expected = nOrdinary < 1 ? "less than one" : `about ${formatCount(Math.round(nOrdinary))}`;
  return [
    `${formatCount(count)} ${rows}`,
    ` ${count === 1 ? "is called an anomaly" : "are called anomalies"}. If the tail falls off ` +
      `exponentially, on average up to ${formatPercent(rate)} of them are ordinary: here ` +
      `${expected}.`,
  ];
}
