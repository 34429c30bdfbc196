// Serves a directory over SFTP with the embedded server until its parent lets go: a mount must never be
// served by the process that uses it. Orders come as one message, the address goes back as one.
process.once('message', async ({ module, options }) => {
  try {
    const { startServer } = await import(module);
    const server = await startServer(options);
    process.send({ port: server.port, hostKey: String(server.hostKey) });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});
process.on('disconnect', () => process.exit(0));
