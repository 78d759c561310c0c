// The page around the panels: title, variables, range of time, and the grid of 24 columns.
import { ThemeContext, DashboardCursorSync, EventBusSrv, dateTime } from '@grafana/data';
import { Badge, GlobalStyles, Icon, PanelContextProvider, PortalContainer, ToolbarButton } from '@grafana/ui';
import { useEffect } from 'react';
import { PanelBox } from './panel_box';

const CAPTION = 'Drawn outside Grafana from its npm packages';
const MARGIN = 16;
const GAP = 8;
const ROW = 30;
const COLUMNS = 24;

const panelContext = {
  eventBus: new EventBusSrv(),
  eventsScope: 'picture',
  sync: () => DashboardCursorSync.Off,
  canAddAnnotations: () => false,
  // As for a person who may edit the dashboard: others see no buttons from Grafana 12.2 on.
  canExecuteActions: () => true,
};

function TopBar({ sheet, theme }) {
  const style = {
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    gap: 8,
    height: 40,
    padding: `0 ${MARGIN}px`,
  };
  return (
    <div style={style}>
      <Icon name="apps" />
      <span style={{ color: theme.colors.text.secondary }}>Dashboards / Celery /</span>
      <span style={{ fontWeight: 500 }}>{sheet.dashboard.title}</span>
      {sheet.dashboard.tags.map((tag) => (
        <Badge key={tag} text={tag} color="blue" />
      ))}
      <span style={{ flex: 1 }} />
      <span id="caption" style={{ color: theme.colors.text.secondary, fontSize: 12 }}>
        {CAPTION}
      </span>
    </div>
  );
}

function Box({ children, theme, style }) {
  const own = {
    alignItems: 'center',
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: 2,
    display: 'inline-flex',
    fontSize: 13,
    gap: 6,
    height: 32,
    padding: '0 8px',
    whiteSpace: 'nowrap',
    ...style,
  };
  return <span style={own}>{children}</span>;
}

function Controls({ sheet, theme }) {
  const named = { background: theme.colors.background.secondary, borderRight: 0, fontSize: 12, fontWeight: 500 };
  return (
    <div style={{ display: 'flex', gap: 8, padding: `12px ${MARGIN}px 0` }}>
      <div style={{ display: 'flex', flex: 1, flexWrap: 'wrap', gap: 8 }}>
        {sheet.variables.map(({ name, label, text, typed }) => (
          <span key={name} style={{ display: 'inline-flex' }}>
            <Box theme={theme} style={named}>
              {label}
            </Box>
            <Box theme={theme} style={{ minWidth: 64 }}>
              {text}
              {!typed && <Icon name="angle-down" />}
            </Box>
          </span>
        ))}
      </div>
      <div style={{ alignItems: 'start', display: 'flex', gap: 8 }}>
        {sheet.links.map(({ title, icon }) => (
          <ToolbarButton key={title} variant="canvas" icon={icon}>
            {title}
          </ToolbarButton>
        ))}
        <ToolbarButton variant="canvas" icon="clock-nine">
          {sheet.range.text}
        </ToolbarButton>
        <ToolbarButton variant="canvas" icon="sync">
          {sheet.dashboard.refresh || 'Refresh'}
        </ToolbarButton>
      </div>
    </div>
  );
}

function RowTitle({ item, theme }) {
  const hidden = item.hidden_panels;
  return (
    <div style={{ alignItems: 'center', display: 'flex', fontSize: 16, fontWeight: 500, gap: 4, height: '100%' }}>
      <Icon name={hidden ? 'angle-right' : 'angle-down'} />
      {item.panel.title}
      {hidden > 0 && (
        <span style={{ color: theme.colors.text.secondary, fontSize: 12 }}>
          ({hidden} {hidden === 1 ? 'panel' : 'panels'})
        </span>
      )}
    </div>
  );
}

export function Page({ sheet, items, theme, timeZone }) {
  const column = (sheet.width - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS;
  const from = dateTime(sheet.range.from);
  const to = dateTime(sheet.range.to);
  const timeRange = { from, to, raw: { from, to } };
  const rows = Math.max(...items.map(({ y, h }) => y + h));
  useEffect(() => {
    window.pictureMounted = true;
  }, []);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={panelContext}>
        <TopBar sheet={sheet} theme={theme} />
        <Controls sheet={sheet} theme={theme} />
        <div style={{ height: rows * (ROW + GAP) - GAP, margin: MARGIN, marginTop: 12, position: 'relative' }}>
          {items.map((item) => {
            const width = item.w * column + (item.w - 1) * GAP;
            const height = item.h * ROW + (item.h - 1) * GAP;
            const left = item.x * (column + GAP);
            const top = item.y * (ROW + GAP);
            return (
              <div key={item.key} data-key={item.key} style={{ position: 'absolute', left, top, width, height }}>
                {item.panel.type === 'row' ? (
                  <RowTitle item={item} theme={theme} />
                ) : (
                  <PanelBox {...{ item, width, height, theme, timeZone, timeRange }} />
                )}
              </div>
            );
          })}
        </div>
        <PortalContainer />
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}
