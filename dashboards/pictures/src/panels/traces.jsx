// A trace as a waterfall: names on the left, bars over time on the right.
import { formattedValueToString, getValueFormat } from '@grafana/data';
import { Icon } from '@grafana/ui';
import { fitted, widthOf } from './measure';
import { waterfall } from './span_rows';

const ROW = 24;
const HEADER = 52;
const FONT = 12;
const FAILED = 2;

const lasted = (ms) => formattedValueToString(getValueFormat('ms')(ms, 2));

function Row({ row, names, bars, position, color, theme }) {
  const { span, depth } = row;
  const failed = span.statusCode === FAILED;
  const left = position(span.startTime);
  const width = Math.max(position(span.end) - left, 2);
  const label = lasted(span.duration);
  const room = widthOf(label, 11) + 12;
  // Beside the bar where there is room, else before it, else within.
  const beside = left + width + room <= bars ? left + width + 6 : left - room + 6;
  const within = beside < 0;
  const paint = within ? theme.colors.getContrastText(color) : theme.colors.text.primary;
  const indent = 8 + depth * 14;
  const service = fitted(span.serviceName, FONT, names - indent - 30);
  const rest = names - indent - widthOf(service, FONT) - 30;
  return (
    <div style={{ borderBottom: `1px solid ${theme.colors.border.weak}`, display: 'flex', height: ROW }}>
      <div style={{ alignItems: 'center', display: 'flex', gap: 6, paddingLeft: indent, whiteSpace: 'nowrap', width: names }}>
        <span style={{ background: color, height: 14, width: 3 }} />
        {failed && <Icon name="exclamation-circle" size="sm" style={{ color: theme.colors.error.main }} />}
        <span>{service}</span>
        <span style={{ color: theme.colors.text.secondary }}>{fitted(span.operationName, FONT, rest)}</span>
      </div>
      <div style={{ borderLeft: `1px solid ${theme.colors.border.medium}`, position: 'relative', width: bars }}>
        <div style={{ background: color, borderRadius: 2, height: 14, left, position: 'absolute', top: 5, width }} />
        <span style={{ color: paint, fontSize: 11, left: within ? left + 6 : beside, position: 'absolute', top: 4, whiteSpace: 'nowrap' }}>
          {label}
        </span>
      </div>
    </div>
  );
}

export function Traces({ series, theme, width, height, none }) {
  const frame = series.find(({ fields }) => fields.length > 1);
  if (!frame) {
    return none;
  }
  const { rows, roots, from, to } = waterfall(frame);
  const services = [...new Set(rows.map(({ span }) => span.serviceName))];
  const names = Math.round(width * 0.33);
  const bars = width - names - 4;
  const position = (at) => ((at - from) / (to - from || 1)) * bars;
  const palette = theme.visualization.palette;
  const colorOf = ({ serviceName }) =>
    theme.visualization.getColorByName(palette[services.indexOf(serviceName) % palette.length]);
  const secondary = { color: theme.colors.text.secondary };
  return (
    <div style={{ fontSize: FONT, height, overflow: 'hidden' }} data-rows={rows.length} data-roots={roots.length}
      data-hidden-rows={Math.max(0, rows.length - Math.floor((height - HEADER) / ROW))}>
      <div style={{ height: 26 }}>
        <span style={{ fontSize: 14, fontWeight: 500 }}>
          {roots[0].serviceName}: {roots[0].operationName}
        </span>
        <span style={{ ...secondary, paddingLeft: 12 }}>
          {lasted(to - from)} · {rows.length} spans · {services.length} {services.length === 1 ? 'service' : 'services'}
        </span>
      </div>
      <div style={{ ...secondary, borderBottom: `1px solid ${theme.colors.border.medium}`, display: 'flex', height: 26 }}>
        <div style={{ padding: '4px 8px', width: names }}>Service and operation</div>
        {[0, 0.25, 0.5, 0.75].map((share) => (
          <div key={share} style={{ borderLeft: `1px solid ${theme.colors.border.weak}`, padding: '4px 6px', width: bars / 4 }}>
            {lasted((to - from) * share)}
          </div>
        ))}
      </div>
      {rows.map((row) => (
        <Row key={row.span.spanID} {...{ row, names, bars, position, theme }} color={colorOf(row.span)} />
      ))}
    </div>
  );
}
