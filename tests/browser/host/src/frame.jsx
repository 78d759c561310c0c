import { css } from '@emotion/css';
import { useTheme2 } from '@grafana/ui';
import React, { useEffect, useState } from 'react';

/** Stands for Grafana's page around a plugin's content: the title, what it is for, the content. */
export function Frame({ pageNav, children }) {
  const theme = useTheme2();
  return (
    <main className={css({ maxWidth: 1200, margin: '0 auto', padding: theme.spacing(3) })}>
      <h1>{pageNav?.text}</h1>
      <div className={css({ color: theme.colors.text.secondary, marginBottom: theme.spacing(3) })}>{pageNav?.subTitle}</div>
      {children}
    </main>
  );
}

/** Draws the plugin anew when the address changes, as Grafana's root page of apps does. */
export function PluginRoot({ plugin, meta, history }) {
  const [location, setLocation] = useState(history.location);
  useEffect(() => history.listen(setLocation), [history]);
  if (location.pathname.startsWith('/plugins/')) {
    const { body: ConfigPage, title } = plugin.configPages[0];
    return (
      <Frame pageNav={{ text: title }}>
        <ConfigPage plugin={plugin} query={{}} />
      </Frame>
    );
  }
  const Root = plugin.root;
  return <Root meta={meta} basename={location.pathname} path={location.pathname} query={{}} onNavChanged={() => {}} />;
}
