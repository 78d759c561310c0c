// What a panel plugin assumes where the dashboard says nothing.
import { defaultOptions as bargauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import * as barchart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';
import { defaultOptions as gauge } from '@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen';
import { defaultOptions as piechart } from '@grafana/schema/dist/esm/raw/composable/piechart/panelcfg/x/PieChartPanelCfg_types.gen';
import { defaultOptions as stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import { defaultOptions as table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import { defaultOptions as text } from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';

const LEGEND = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] };
const REDUCE = { values: false, calcs: ['lastNotNull'], fields: '' };
const THRESHOLDS = { mode: 'thresholds' };
const PALETTE = { mode: 'palette-classic' };
const VISIBLE = { hideFrom: { viz: false, legend: false, tooltip: false } };
const AXIS = {
  axisPlacement: 'auto',
  axisLabel: '',
  axisColorMode: 'text',
  axisBorderShow: false,
  axisCenteredZero: false,
  scaleDistribution: { type: 'linear' },
  ...VISIBLE,
};
const LINES = {
  ...AXIS,
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  barAlignment: 0,
  barWidthFactor: 0.6,
  showPoints: 'auto',
  pointSize: 5,
  stacking: { mode: 'none', group: 'A' },
  spanNulls: false,
  insertNulls: false,
  thresholdsStyle: { mode: 'off' },
};

const PLUGINS = {
  stat: { options: { ...stat, orientation: 'auto', text: {}, reduceOptions: REDUCE } },
  gauge: { options: { ...gauge, orientation: 'auto', reduceOptions: REDUCE } },
  bargauge: { options: { ...bargauge, orientation: 'auto', reduceOptions: REDUCE } },
  table: {
    options: table,
    custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false, filterable: false, footer: { reducers: [] } },
  },
  timeseries: { options: { legend: LEGEND, tooltip: { mode: 'single' } }, custom: LINES, color: PALETTE },
  barchart: {
    options: { ...barchart.defaultOptions, legend: LEGEND },
    custom: { ...AXIS, ...barchart.defaultFieldConfig },
    color: PALETTE,
  },
  'state-timeline': {
    options: { ...timeline.defaultOptions, legend: LEGEND },
    custom: { ...AXIS, ...timeline.defaultFieldConfig, spanNulls: false },
    color: { mode: 'continuous-GrYlRd' },
  },
  piechart: {
    options: { ...piechart, pieType: 'pie', reduceOptions: REDUCE, legend: { ...LEGEND, placement: 'right', values: ['percent'] } },
    color: PALETTE,
  },
  text: { options: text },
};

const MERGED = ['legend', 'reduceOptions', 'text'];

/** The panel's options and field config, with the defaults of its type beneath. */
export function withDefaults(panel) {
  const plugin = PLUGINS[panel.type] ?? {};
  const options = { ...plugin.options, ...panel.options };
  for (const key of MERGED) {
    if (typeof plugin.options?.[key] === 'object') {
      options[key] = { ...plugin.options[key], ...panel.options?.[key] };
    }
  }
  const own = panel.fieldConfig ?? {};
  const defaults = {
    color: plugin.color ?? THRESHOLDS,
    thresholds: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }] },
    ...own.defaults,
    custom: { ...plugin.custom, ...own.defaults?.custom },
  };
  return { options, fieldConfig: { defaults, overrides: own.overrides ?? [] } };
}
