// Big numbers, by @grafana/ui.
import { getDisplayValueAlignmentFactors } from '@grafana/data';
import { BigValue, VizRepeater } from '@grafana/ui';
import { valuesOf } from './values';

export function Stat(panel) {
  const { options, theme, timeRange, series, width, height } = panel;
  const read = () =>
    valuesOf(panel, options.graphMode !== 'none').map((value) => {
      if (value.sparkline) {
        value.sparkline.timeRange = timeRange;
      }
      return value;
    });
  const one = ({ value, alignmentFactors, count, width: ownWidth, height: ownHeight }) => (
    <BigValue
      alignmentFactors={alignmentFactors}
      colorMode={options.colorMode}
      count={count}
      disableWideLayout={!options.wideLayout}
      graphMode={options.graphMode}
      hasLinks={value.hasLinks}
      justifyMode={options.justifyMode}
      percentChangeColorMode={options.percentChangeColorMode}
      sparkline={value.sparkline}
      text={options.text}
      textMode={options.textMode}
      theme={theme}
      value={value.display}
      width={ownWidth}
      height={ownHeight}
    />
  );
  return (
    <VizRepeater
      autoGrid
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      getValues={read}
      itemSpacing={3}
      orientation={options.orientation}
      renderCounter={0}
      renderValue={one}
      source={series}
      width={width}
      height={height}
    />
  );
}
