/** The file that AUTOSSH_PIDFILE names, for scripts that signal whoever keeps the connection. */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';

/**
 * Writes this process's number to `path`, and answers what removes it again, unless another's is there by then.
 * @throws what the file system says
 */
export function writePidFile(path: string): () => void {
  const text = `${process.pid}\n`;
  writeFileSync(path, text);
  return () => {
    try {
      if (readFileSync(path, 'utf8') === text) unlinkSync(path);
    } catch {
      // Somebody has removed it already.
    }
  };
}
