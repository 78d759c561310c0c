// Draws the sheet that the server has: a dashboard with the answers of its queries in it.
import { createTheme, locationUtil } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { createRoot } from 'react-dom/client';
import { withDefaults } from './defaults';
import { prepared, registerStandards } from './fields';
import { loadFonts } from './fonts';
import { Page } from './page';
import { DRAWN } from './panels';
import { resolve } from './references';

async function readSheet() {
  const name = new URLSearchParams(location.search).get('sheet');
  const answer = await fetch(`/sheets/${encodeURIComponent(name)}`);
  if (!answer.ok) {
    throw new Error(`the sheet ${name}: status ${answer.status}`);
  }
  return answer.json();
}

async function preparePanel(item, { theme, timeZone }) {
  const { panel, errors } = item;
  if (panel.type === 'row') {
    return item;
  }
  const replaceVariables = resolve;
  const defaults = withDefaults(panel);
  const ready = { ...item, ...defaults, replaceVariables, errors: [...errors], series: [] };
  if (!(panel.type in DRAWN)) {
    ready.errors.push(`panels of the type ${panel.type} cannot be drawn here`);
    return ready;
  }
  try {
    const { frames } = item;
    Object.assign(ready, await prepared({ panel, ...defaults, frames, theme, timeZone, replaceVariables }));
  } catch (error) {
    ready.errors.push(String(error.message ?? error));
  }
  return ready;
}

async function draw() {
  await initPluginTranslations('grafana-ui');
  registerStandards();
  const sheet = await readSheet();
  const theme = createTheme({ colors: { mode: sheet.theme } });
  document.body.className = document.documentElement.className = `theme-${sheet.theme}`;
  locationUtil.initialize({
    config: { appSubUrl: '' },
    getTimeRangeForUrl: () => ({}),
    getVariablesUrlParams: () => ({}),
  });
  const context = { theme, timeZone: 'utc' };
  await loadFonts();
  // Panels that appear one by one would measure their text in an order that differs from run to run.
  const items = await Promise.all(sheet.items.map((item) => preparePanel(item, context)));
  window.pictureErrors = items.flatMap(({ panel, errors }) =>
    (errors ?? []).map((message) => ({ panel: panel.title, message }))
  );
  createRoot(document.getElementById('page')).render(<Page sheet={sheet} items={items} {...context} />);
}

window.pictureErrors = [];
draw().catch((error) => {
  window.pictureFailed = String(error.stack ?? error);
});
