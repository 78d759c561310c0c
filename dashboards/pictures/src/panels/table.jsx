// Tables with links and action buttons, by @grafana/ui. A button here does nothing.
import { TableNG } from '@grafana/ui/unstable';

export function Table({ panel, series, options, fieldConfig, theme, timeRange, replaceVariables, width, height }) {
  const frame = series[Math.min(options.frameIndex ?? 0, series.length - 1)];
  const actionsOf = (ofFrame, field, rowIndex) =>
    (field.config.actions ?? []).map((action) => {
      const value = { data: series, frame: ofFrame, frameIndex: 0, field, rowIndex };
      const written = (text) => replaceVariables(text, { __dataContext: { value } });
      const colour = action.style?.backgroundColor;
      return {
        ...action,
        title: written(action.title),
        confirmation: () => written(action.confirmation ?? ''),
        onClick: () => {},
        style: { backgroundColor: colour ? theme.visualization.getColorByName(colour) : theme.colors.secondary.main },
      };
    });
  return (
    <TableNG
      cellHeight={options.cellHeight}
      data={frame}
      disableSanitizeHtml={false}
      enablePagination={options.enablePagination}
      enableVirtualization
      fieldConfig={fieldConfig}
      frozenColumns={options.frozenColumns?.left}
      getActions={actionsOf}
      maxRowHeight={options.maxRowHeight}
      noHeader={!options.showHeader}
      noValue={fieldConfig.defaults.noValue}
      resizable
      showTypeIcons={options.showTypeIcons}
      sortBy={options.sortBy}
      structureRev={1}
      timeRange={timeRange}
      transparent={panel.transparent}
      width={width}
      height={height}
    />
  );
}
