// The values that a panel of big numbers, bars or slices shows: one a field, or one a row.
import { getFieldDisplayValues } from '@grafana/data';

export function valuesOf({ series, options, fieldConfig, theme, timeZone, replaceVariables }, sparkline = false) {
  return getFieldDisplayValues({
    data: series,
    fieldConfig,
    reduceOptions: options.reduceOptions,
    percentChange: options.showPercentChange,
    replaceVariables,
    sparkline,
    theme,
    timeZone,
  });
}
