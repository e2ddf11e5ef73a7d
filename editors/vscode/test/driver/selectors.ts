/** Where things are in VS Code's page. Whatever a new version moves is mended here. */
export const at = {
  workbench: '.monaco-workbench .statusbar-item',
  editor: '.editor-instance .monaco-editor:not(.gutter):visible',
  focusedEditor: '.editor-instance .monaco-editor.focused',
  text: '.view-lines',
  tab: (name: string) => `.tab[data-resource-name="${name}"]`,
  quickInputBox: '.quick-input-widget:not(.hidden) .quick-input-box input',
  quickInputRow: '.quick-input-widget:not(.hidden) .quick-input-list .monaco-list-row',
  lens: '.codelens-decoration a',
  tooltip: '.workbench-hover-container .workbench-hover',
  message: '.notifications-toasts .notification-toast, .notifications-center .monaco-list-row',
  bell: '#status\\.notifications',
  languageStatus: '#status\\.languageStatus',
  languageStatusItems: '.hover-language-status',
  banner: '.part.banner',
  button: '.monaco-button',
  panel: '.part.panel',
  outputChannel: '.part.panel select.monaco-select-box',
  terminalRows: '.part.panel .xterm-rows',
  terminal: '.part.panel .xterm',
  diffOriginal: '.monaco-diff-editor .editor.original',
  diffModified: '.monaco-diff-editor .editor.modified',
  // Below the heading of git there may be a row of the same file.
  changed: (file: string) =>
    `.part.sidebar .scm-view .monaco-list-row[aria-label="shop Sandbox"] ~ .monaco-list-row[aria-label^="${file},"]`,
  activity: (name: string) => `.activitybar .action-item:has(.action-label[aria-label^="${name}"])`,
};
