// The commands that a person typed, the last first.
const most = 50;

export function remember(history: readonly string[], command: string): string[] {
  return [command, ...history.filter((c) => c !== command)].slice(0, most);
}
