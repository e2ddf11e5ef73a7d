// The person's own settings and those that came with the folder, kept apart: the server
// takes what runs programs, sends data or opens the network from the person alone.
export interface Inspected {
  globalValue?: unknown;
  workspaceValue?: unknown;
}

export interface Settings {
  user: Tree;
  workspace: Tree;
  trusted: boolean;
}

export type Tree = Record<string, unknown>;

// split sorts the values of keys. Defaults stay out, so that the server's own order of
// editor, environment and file holds for what nobody set in the editor.
export function split(
  keys: readonly string[],
  inspect: (key: string) => Inspected | undefined,
  trusted: boolean,
): Settings {
  const out: Settings = { user: {}, workspace: {}, trusted };
  for (const key of keys) {
    const found = inspect(key);
    if (found?.globalValue !== undefined) {
      put(out.user, key, found.globalValue);
    }
    if (found?.workspaceValue !== undefined) {
      put(out.workspace, key, found.workspaceValue);
    }
  }
  return out;
}

// put sets a value at a key whose dots are levels.
function put(tree: Tree, key: string, value: unknown): void {
  const names = key.split('.');
  const last = names.pop() ?? key;
  let at = tree;
  for (const name of names) {
    const next = at[name];
    if (isTree(next)) {
      at = next;
    } else {
      const made: Tree = {};
      at[name] = made;
      at = made;
    }
  }
  at[last] = value;
}

function isTree(v: unknown): v is Tree {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}
