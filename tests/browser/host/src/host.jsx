/**
 * Loads the built plugin as Grafana does and draws its pages, without a Grafana.
 *
 * Real are React, @grafana/ui, @grafana/data, @grafana/runtime, and SystemJS with its AMD loader.
 * Rebuilt is what only Grafana's core has: the HTTP service, the frame of a page, the boot data.
 */
import './bootData.js';
import * as emotionCss from '@emotion/css';
import * as grafanaData from '@grafana/data';
import * as grafanaRuntime from '@grafana/runtime';
import * as grafanaUi from '@grafana/ui';
import * as React from 'react';
import { createRoot } from 'react-dom/client';
import { Router } from 'react-router-dom';
import { CompatRouter } from 'react-router-dom-v5-compat';
import * as rxjs from 'rxjs';
import 'systemjs/dist/system.js';
import 'systemjs/dist/extras/amd.js';
import { backendSrv } from './backendSrv.js';
import { Frame, PluginRoot } from './frame.jsx';

const { theme, pluginId, secureJsonFields } = window.hostPage;
const history = grafanaRuntime.locationService.getHistory();

grafanaData.locationUtil.initialize({
  config: { appSubUrl: '' },
  getVariablesUrlParams: () => ({}),
  getTimeRangeForUrl: () => ({ from: 'now-6h', to: 'now' }),
});
grafanaRuntime.setBackendSrv(
  backendSrv((text) => {
    const popUp = document.createElement('div');
    popUp.dataset.testid = 'grafana-pop-up';
    popUp.textContent = text;
    document.body.append(popUp);
  })
);

// All that Grafana 11.6 shares with plugins and this one could want. What is missing fails to load.
const shared = {
  '@emotion/css': emotionCss,
  '@grafana/data': grafanaData,
  // The core sets PluginPage through an import that the package does not export.
  '@grafana/runtime': { ...grafanaRuntime, PluginPage: Frame },
  '@grafana/ui': grafanaUi,
  react: React,
  rxjs,
};
System.addImportMap({ imports: Object.fromEntries(Object.keys(shared).map((name) => [name, `package:${name}`])) });
for (const [name, module] of Object.entries(shared)) {
  System.set(`package:${name}`, module);
}

async function start() {
  const { plugin } = await System.import(`/public/plugins/${pluginId}/module.js`);
  const meta = { id: pluginId, enabled: true, jsonData: {}, secureJsonFields };
  plugin.meta = meta;
  createRoot(document.getElementById('root')).render(
    <grafanaData.ThemeContext.Provider value={grafanaData.createTheme({ colors: { mode: theme } })}>
      <grafanaUi.GlobalStyles />
      <Router history={history}>
        <CompatRouter>
          <PluginRoot plugin={plugin} meta={meta} history={history} />
          <grafanaUi.PortalContainer />
        </CompatRouter>
      </Router>
    </grafanaData.ThemeContext.Provider>
  );
}

start().catch((error) => {
  document.getElementById('root').textContent = `The plugin could not be loaded: ${error?.stack ?? error}`;
});
