// States over time: a row of bars for each field, each bar as long as its state lasted.
import { FieldType, formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { WithLegend } from './legend';
import { fitted, widthOf } from './measure';
import { timeTicks } from './ticks';

const AXIS = 24;
const FONT = 12;

// A field's value holds until the next one; a null ends it. Where the frame has a second time column,
// that is the end of the row's state.
function barsOf(field, starts, ends, last, merge) {
  const bars = [];
  starts.values.forEach((start, row) => {
    const value = field.values[row];
    const open = bars.at(-1);
    if (open && open.until === undefined) {
      open.until = start;
    }
    if (value === null || value === undefined || value === '') {
      return;
    }
    const shown = field.display(value);
    const bar = { start, text: formattedValueToString(shown), color: shown.color };
    if (ends?.values[row] != null) {
      bar.until = ends.values[row];
    }
    const same = merge && open && !ends && open.text === bar.text && open.until === start;
    if (same) {
      open.until = undefined;
    } else {
      bars.push(bar);
    }
  });
  return bars.map((bar) => ({ ...bar, until: bar.until ?? last }));
}

function rowsOf(series, last, merge) {
  return series.flatMap((frame) => {
    const [starts, ends] = frame.fields.filter(({ type }) => type === FieldType.time);
    return frame.fields
      .filter((field) => field.type !== FieldType.time && !field.config.custom?.hideFrom?.viz)
      .map((field) => ({
        name: getFieldDisplayName(field, frame, series),
        opacity: (field.config.custom?.fillOpacity ?? 70) / 100,
        bars: barsOf(field, starts, ends, last, merge),
      }));
  });
}

function Bar({ bar, x, y, width, height, opacity, showValue, theme }) {
  const room = width - 8;
  const label = showValue !== 'never' && height >= FONT + 2 && widthOf(bar.text, FONT) <= room;
  const paint = opacity > 0.5 ? theme.colors.getContrastText(bar.color) : theme.colors.text.primary;
  return (
    <g>
      <rect x={x} y={y} width={Math.max(width, 1)} height={height} fill={bar.color} fillOpacity={opacity} />
      {label && (
        <text x={x + 4} y={y + height / 2} dominantBaseline="central" fill={paint} fontSize={FONT}>
          {bar.text}
        </text>
      )}
    </g>
  );
}

export function StateTimeline({ series, options, theme, timeZone, timeRange, width, height, none }) {
  const from = timeRange.from.valueOf();
  const to = timeRange.to.valueOf();
  const withTime = series.filter((frame) => frame.fields.some(({ type }) => type === FieldType.time));
  const rows = rowsOf(withTime, to, options.mergeValues !== false);
  if (rows.length === 0) {
    return none;
  }
  const colors = new Map(rows.flatMap(({ bars }) => bars.map(({ text, color }) => [text, color])));
  const items = [...colors].map(([label, color]) => ({ label, color, yAxis: 1 }));
  const draw = (w, h) => {
    const left = Math.min(Math.max(...rows.map(({ name }) => widthOf(name, FONT))) + 12, w * 0.35);
    const scale = (at) => left + ((Math.min(Math.max(at, from), to) - from) / (to - from)) * (w - left);
    const step = (h - AXIS) / rows.length;
    const thick = step * (options.rowHeight ?? 0.9);
    return (
      <svg width={w} height={h} style={{ display: 'block' }} fontFamily={theme.typography.fontFamily}>
        {timeTicks(from, to, (w - left) / 90, timeZone).map(({ at, text }) => (
          <g key={at}>
            <line x1={scale(at)} x2={scale(at)} y1={0} y2={h - AXIS} stroke={theme.colors.border.weak} />
            {scale(at) + widthOf(text, FONT) / 2 <= w && (
              <text x={scale(at)} y={h - 6} fill={theme.colors.text.secondary} fontSize={FONT} textAnchor="middle">
                {text}
              </text>
            )}
          </g>
        ))}
        {rows.map(({ name, bars, opacity }, index) => (
          <g key={name}>
            <text x={left - 8} y={(index + 0.5) * step} dominantBaseline="central" textAnchor="end"
              fill={theme.colors.text.primary} fontSize={FONT}>
              {fitted(name, FONT, left - 8)}
            </text>
            {bars
              .filter(({ start, until }) => until >= from && start <= to)
              .map((bar) => (
                <Bar key={bar.start} {...{ bar, opacity, theme }} showValue={options.showValue} x={scale(bar.start)}
                  y={index * step + (step - thick) / 2} width={scale(bar.until) - scale(bar.start)} height={thick} />
              ))}
          </g>
        ))}
      </svg>
    );
  };
  return <WithLegend {...{ items, width, height, draw }} legend={options.legend} />;
}
