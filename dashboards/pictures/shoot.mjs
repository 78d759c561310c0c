// Opens sheets in a headless Chromium and takes their pictures.
// Reads {base, chromium, pictures: [{sheet, out, width}]} from standard input, and writes a
// list of what it saw to standard output. It looks for no browser of its own and downloads none.
import { writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';
import { withPalette } from './palette.mjs';

const READY_MS = 60_000;
const SETTLE_MS = 300;

const job = JSON.parse(await text(process.stdin));
const browser = await chromium.launch({
  executablePath: job.chromium,
  // Root and most containers have no way to make one. The only page it opens is ours, see take().
  chromiumSandbox: false,
  args: ['--disable-gpu', '--font-render-hinting=none', '--hide-scrollbars', '--disable-background-networking'],
});
try {
  const seen = [];
  for (const picture of job.pictures) {
    seen.push(await take(picture));
  }
  process.stdout.write(JSON.stringify(seen));
} finally {
  await browser.close();
}

async function take({ sheet, out, width }) {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    deviceScaleFactor: 1,
    locale: 'en-US',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
  });
  try {
    const errors = [];
    await context.route('**/*', (route) => {
      const url = route.request().url();
      if (url.startsWith(job.base) || url.startsWith('data:') || url.startsWith('blob:')) {
        return route.continue();
      }
      errors.push({ message: `the page asked for ${url}` });
      return route.abort();
    });
    const page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && errors.push({ message: `console: ${message.text()}` }));
    page.on('pageerror', (error) => errors.push({ message: `page: ${error.stack ?? error}` }));
    await page.goto(`${job.base}/?sheet=${encodeURIComponent(sheet)}`);
    await page.waitForFunction(() => window.pictureMounted || window.pictureFailed, null, { timeout: READY_MS });
    // Tables draw only the rows in view, so the window has to be as high as the page.
    const height = await page.evaluate(() => Math.ceil(document.getElementById('page').scrollHeight));
    await page.setViewportSize({ width, height: Math.max(height, 200) });
    await page.waitForLoadState('networkidle');
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.waitForTimeout(SETTLE_MS);
    await writeFile(out, withPalette(await page.screenshot()));
    const found = await page.evaluate(look);
    return { ...found, sheet, width, height, errors: [...errors, ...found.errors] };
  } finally {
    await context.close();
  }
}

// Runs in the page.
function look() {
  const beyond = (element) => ({
    below: Math.max(0, element.scrollHeight - element.clientHeight),
    right: Math.max(0, element.scrollWidth - element.clientWidth),
  });
  const panels = [...document.querySelectorAll('[data-content]')].map((content) => {
    const grid = content.querySelector('[role="grid"]');
    const svg = [...content.querySelectorAll('svg text')];
    const box = content.getBoundingClientRect();
    const outside = svg
      .filter((one) => {
        const own = one.getBoundingClientRect();
        return own.width > 0 && (own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1);
      })
      .map((one) => one.textContent);
    return {
      key: content.dataset.content,
      text: content.innerText.trim(),
      marks: content.querySelectorAll('canvas, svg').length,
      buttons: [...content.querySelectorAll('button')].map((one) => one.innerText.trim()).filter(Boolean),
      links: [...content.querySelectorAll('a[href]')].map((one) => one.getAttribute('href')),
      cut: beyond(content),
      scrolls: grid ? beyond(grid) : { below: 0, right: 0 },
      outside,
      hidden_rows: Number(content.querySelector('[data-hidden-rows]')?.dataset.hiddenRows ?? 0),
    };
  });
  const failed = window.pictureFailed ? [{ message: window.pictureFailed }] : [];
  const caption = document.getElementById('caption')?.innerText ?? '';
  return { panels, caption, errors: [...window.pictureErrors, ...failed] };
}
