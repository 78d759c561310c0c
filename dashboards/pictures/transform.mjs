// Runs frames through the transformations of the real @grafana/data, in a headless Chromium.
// Reads {base, chromium, jobs: [{transformations, frames}]} from standard input and writes for each job
// {frames} or {error} to standard output.
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

const job = JSON.parse(await text(process.stdin));
const browser = await chromium.launch({ executablePath: job.chromium, chromiumSandbox: false });
try {
  const page = await browser.newPage();
  await page.goto(`${job.base}/transform`);
  await page.waitForFunction(() => window.transformed);
  const results = [];
  for (const { transformations, frames } of job.jobs) {
    const result = page.evaluate(([how, what]) => window.transformed(how, what), [transformations, frames]);
    results.push(await result.then((made) => ({ frames: made }), (error) => ({ error: String(error) })));
  }
  process.stdout.write(JSON.stringify(results));
} finally {
  await browser.close();
}
