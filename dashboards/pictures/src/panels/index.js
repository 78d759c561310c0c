// Which panel types can be drawn, and by what. `drawsNothing`: it shows an empty answer by itself.
import { BarChart } from './barchart';
import { BarGaugePanel } from './bargauge';
import { Logs } from './logs';
import { NodeGraph } from './nodegraph';
import { PieChart } from './piechart';
import { Stat } from './stat';
import { StateTimeline } from './statetimeline';
import { Table } from './table';
import { Text } from './text';
import { TimeSeriesPanel } from './timeseries';
import { Traces } from './traces';

export const DRAWN = {
  barchart: { view: BarChart },
  bargauge: { view: BarGaugePanel },
  logs: { view: Logs },
  nodeGraph: { view: NodeGraph },
  piechart: { view: PieChart },
  stat: { view: Stat, drawsNothing: true },
  'state-timeline': { view: StateTimeline },
  table: { view: Table },
  text: { view: Text, drawsNothing: true },
  timeseries: { view: TimeSeriesPanel },
  traces: { view: Traces },
};
