using RegCache.Lab.Cli;

return new CommandHost(KitCommand.All()).Run(args);
