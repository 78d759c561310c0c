// The frame of one panel, with what it draws, what it says when there is nothing, or its error.
import { LoadingState } from '@grafana/data';
import { PanelChrome } from '@grafana/ui';
import { Component } from 'react';
import { DRAWN } from './panels';

class Watched extends Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    window.pictureErrors.push({ panel: this.props.title, message: String(error.stack ?? error) });
  }

  render() {
    return this.state.error ? <Message color="red" text={String(this.state.error)} /> : this.props.children;
  }
}

function Message({ color, text }) {
  const style = {
    alignItems: 'center',
    color,
    display: 'flex',
    height: '100%',
    justifyContent: 'center',
    textAlign: 'center',
    whiteSpace: 'pre-wrap',
  };
  return <div style={style}>{text}</div>;
}

const isEmpty = (series) => series.every((frame) => frame.fields.length === 0 || frame.length === 0);

export function PanelBox({ item, width, height, theme, timeZone, timeRange }) {
  const { panel, errors, series, options, fieldConfig } = item;
  const drawn = DRAWN[panel.type];
  const none = <Message color={theme.colors.text.secondary} text={fieldConfig.defaults.noValue ?? 'No data'} />;
  const content = (innerWidth, innerHeight) => {
    if (errors.length > 0) {
      return <Message color={theme.colors.error.text} text={errors.join('\n')} />;
    }
    if (isEmpty(series) && !drawn.drawsNothing) {
      return none;
    }
    const View = drawn.view;
    return (
      <View
        {...{ panel, series, options, fieldConfig, theme, timeZone, timeRange, none }}
        replaceVariables={item.replaceVariables}
        width={innerWidth}
        height={innerHeight}
      />
    );
  };
  return (
    <PanelChrome
      title={panel.title}
      description={panel.description}
      displayMode={panel.transparent ? 'transparent' : 'default'}
      hoverHeader={!panel.title}
      loadingState={LoadingState.Done}
      padding={panel.type === 'stat' ? 'none' : 'md'}
      width={width}
      height={height}
    >
      {(innerWidth, innerHeight) => (
        <div data-content={item.key} style={{ height: innerHeight, overflow: 'hidden', width: innerWidth }}>
          <Watched title={panel.title}>{content(innerWidth, innerHeight)}</Watched>
        </div>
      )}
    </PanelChrome>
  );
}
