# frozen_string_literal: true

class Chef
  # `only_if` or `not_if`: a command, a block, or a value.
  class Guard
    OPTIONS = %i[cwd user group environment env timeout umask login architecture].freeze
    SHELLS = { bash: %w[bash], sh: %w[sh], csh: %w[csh], ksh: %w[ksh], perl: %w[perl], python: %w[python3], ruby: %w[ruby],
               powershell_script: %w[pwsh -NoProfile], batch: %w[sh] }.freeze
    attr_reader :positive

    def initialize(positive, command, options, block, resource)
      @positive = positive
      @command = command
      @options = options
      @block = block
      @resource = resource
    end

    # Whether the resource may act, as far as this guard knows.
    def pass? = @positive == fulfilled?

    def to_s = @positive ? 'only_if' : 'not_if'

    private

    def fulfilled?
      return !!@resource.instance_exec(&@block) if @block
      # `not_if a < b`: the value of an expression.
      return !!@command unless @command.is_a?(String) || @command.is_a?(Array)

      options = @options.slice(*OPTIONS).compact
      inherit(options)
      interpreter = @resource.guard_interpreter
      words = interpreter && interpreter != :default ? [*SHELLS.fetch(interpreter.to_sym) { [interpreter.to_s] }, '-c', @command] : @command
      words = [*SHELLS.fetch(interpreter.to_sym), '-e', @command] if %i[perl ruby].include?(interpreter)
      @resource.shell_out(*(words.is_a?(Array) ? words : [words]), **options.except(:architecture)).exitstatus.zero?
    rescue Mixlib::ShellOut::CommandTimeout
      Chef::Log.warn("#{@resource}: the command of #{self} took too long")
      false
    rescue Errno::ENOENT
      false
    end

    # Commands of scripts run in their folder, by their user and with their environment.
    def inherit(options)
      return unless @resource.respond_to?(:code) || @resource.guard_interpreter

      %i[cwd user group environment umask].each do |name|
        next if options.key?(name) || (name == :environment && options.key?(:env)) || !@resource.class.properties.key?(name)

        value = @resource.public_send(name)
        options[name] = value unless value.nil? || value == {}
      end
    end
  end
end
