// Lines of a log: a time, a body, and a colour by level.
import { FieldType, dateTimeFormat } from '@grafana/data';

const BODIES = ['body', 'message', 'line'];
const LEVELS = ['severity', 'level', 'detected_level'];
const COLOURS = { critical: 'purple', error: 'red', warning: 'yellow', info: 'green', debug: 'blue', trace: 'light-blue' };

export function Logs({ series, options, theme, timeZone, none }) {
  const [frame] = series;
  const named = (names) => frame.fields.find(({ name }) => names.includes(name.toLowerCase()));
  const time = frame.fields.find(({ type }) => type === FieldType.time);
  const body = named(BODIES) ?? frame.fields.find(({ type }) => type === FieldType.string);
  const level = named(LEVELS);
  if (!time || !body) {
    return none;
  }
  const order = [...time.values.keys()].sort((a, b) => time.values[b] - time.values[a]);
  if (options.sortOrder === 'Ascending') {
    order.reverse();
  }
  return (
    <div style={{ fontFamily: theme.typography.fontFamilyMonospace, fontSize: 12 }}>
      {order.map((row) => {
        const colour = COLOURS[String(level?.values[row]).toLowerCase()] ?? 'gray';
        const line = {
          borderLeft: `3px solid ${theme.visualization.getColorByName(colour)}`,
          display: 'flex',
          gap: 10,
          lineHeight: '19px',
          paddingLeft: 6,
          whiteSpace: options.wrapLogMessage ? 'pre-wrap' : 'pre',
        };
        return (
          <div key={row} style={line}>
            {options.showTime && (
              <span style={{ color: theme.colors.text.secondary }}>
                {dateTimeFormat(time.values[row], { timeZone, format: 'YYYY-MM-DD HH:mm:ss.SSS' })}
              </span>
            )}
            <span>{String(body.values[row] ?? '')}</span>
          </div>
        );
      })}
    </div>
  );
}
