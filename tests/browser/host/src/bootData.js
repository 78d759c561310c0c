// Must be loaded before @grafana/runtime, which reads this once. Grafana writes it into its page too.
const { user } = window.hostPage;
window.grafanaBootData = {
  user: { id: 1, isSignedIn: true, login: user.login, orgId: 1, orgRole: user.role, timezone: 'browser' },
  settings: { appSubUrl: '', appUrl: `${window.location.origin}/`, featureToggles: {}, bootData: undefined },
  navTree: [],
};
