# frozen_string_literal: true

module Mixlib
  # A command and what came of it.
  class ShellOut
    class ShellCommandFailed < RuntimeError; end
    class CommandTimeout < RuntimeError; end
    class InvalidCommandOption < RuntimeError; end
    class EmptyWindowsCommand < ShellCommandFailed; end
    DEFAULT_READ_TIMEOUT = 600

    attr_accessor :user, :group, :cwd, :umask, :environment, :input, :valid_exit_codes, :live_stdout, :live_stderr, :login,
                  :log_level, :log_tag, :domain, :password, :elevated, :timeout
    attr_reader :command, :stdout, :stderr, :status, :execution_time
    alias domain_user domain
    alias env environment

    def self.new_and_run(...) = new(...).run_command

    def initialize(*command, **options)
      options = command.pop if command.last.is_a?(Hash)
      options ||= {}
      command = command.first if command.size == 1
      @command = command
      @environment = {}
      @valid_exit_codes = [0]
      @stdout = @stderr = ''
      options.each { |name, value| set(name.to_s, value) }
    end

    def run_command
      words = @command.is_a?(Array) ? @command.flatten.map(&:to_s) : @command.to_s
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      limit = (timeout || DEFAULT_READ_TIMEOUT).to_f
      @stdout, @stderr, @status, late = Jetpack.run(
        words, input: input, cwd: cwd || '/', env: default_locale.merge(environment.to_h), user: user, group: group,
               umask: umask, timeout: limit, live: live_stdout ? true : false
      )
      @execution_time = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
      raise CommandTimeout, "Command timed out after #{limit.to_i}s:\n#{format_for_exception}" if late

      self
    end

    def exitstatus = @status&.exitstatus
    def error? = !Array(valid_exit_codes).include?(exitstatus)

    def error!
      return self unless error?

      expected = Array(valid_exit_codes).inspect
      raise ShellCommandFailed, "Expected process to exit with #{expected}, but received '#{exitstatus}'\n#{format_for_exception}"
    end

    def invalid!(message = nil) = raise(ShellCommandFailed, "#{message || 'Command produced unexpected results'}\n#{format_for_exception}")

    def format_for_exception
      return 'Command execution failed. STDOUT/STDERR suppressed for sensitive resource' if @sensitive

      "---- Begin output of #{Array(command).join(' ')} ----\nSTDOUT: #{stdout.strip}\nSTDERR: #{stderr.strip}\n" \
        "---- End output of #{Array(command).join(' ')} ----\nRan #{Array(command).join(' ')} returned #{exitstatus}"
    end

    private

    def default_locale = @default_env == false ? {} : { 'LC_ALL' => 'C.UTF-8', 'LANGUAGE' => 'C.UTF-8', 'LANG' => 'C.UTF-8' }

    def set(name, value)
      case name
      when 'returns' then @valid_exit_codes = Array(value)
      when 'env' then @environment = value || {}
      when 'live_stream', 'live_stdout' then @live_stdout = value
      when 'default_env' then @default_env = value
      when 'sensitive' then @sensitive = value
      when 'environment' then @environment = value || {}
      else
        raise InvalidCommandOption, "option '#{name}' is not a valid option for ShellOut" unless respond_to?(:"#{name}=")

        public_send(:"#{name}=", value)
      end
    end
  end
end
$LOADED_FEATURES.push('mixlib/shellout.rb', 'chef.rb', 'chef/mixin/shell_out.rb', 'chef/log.rb', 'chef/util/file_edit.rb',
                      'chef/mash.rb', 'chef/resource.rb', 'chef/provider.rb', 'chef/recipe.rb', 'chef/exceptions.rb',
                      'chef/dsl/recipe.rb', 'chef/mixin/command.rb', 'chef/mixin/language.rb', 'chef/platform.rb',
                      'chef/json_compat.rb', 'chef/config.rb', 'chef/http.rb', 'chef/rewind.rb', 'chef/resource/service.rb',
                      'chef/resource/execute.rb', 'chef/resource/lwrp_base.rb', 'chef/provider/lwrp_base.rb',
                      'chef-utils.rb', 'mixlib/log.rb', 'bigdecimal.rb')

class Chef
  module Mixin
    module ShellOut
      def shell_out(*command, **options)
        options.delete(:argument_array)
        Mixlib::ShellOut.new(*command, **options).run_command
      end

      def shell_out!(*command, **options) = shell_out(*command, **options).tap(&:error!)
      def shell_out_compact(*command, **options) = shell_out(*command.flatten.compact, **options)
      def shell_out_compact!(*command, **options) = shell_out!(*command.flatten.compact, **options)
      alias shell_out_with_systems_locale shell_out
      alias shell_out_with_systems_locale! shell_out!
      def run_command_with_systems_locale(command:, **options) = shell_out!(command, **options)
      def powershell_out(script, *, **options) = shell_out('pwsh', '-NoProfile', '-Command', script, **options)
      def powershell_out!(...) = powershell_out(...).tap(&:error!)
    end

    module Checksum
      def checksum(file) = Digest::SHA256.file(file).hexdigest
    end

    module Which
      PLACES = %w[/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin].freeze
      def which(*names, extra_path: nil, prepend_path: nil)
        where(*names, extra_path: extra_path, prepend_path: prepend_path).first || false
      end

      def where(*names, extra_path: nil, prepend_path: nil)
        folders = [*prepend_path, *ENV['PATH'].to_s.split(':'), *(extra_path || PLACES)].uniq
        paths = names.flatten.product(folders).map { |name, folder| File.join(folder, name) }
        paths.select { |path| File.file?(path) && File.executable?(path) && (!block_given? || yield(path)) }
      end
    end

    module Command
      include ShellOut
      def run_command(command:, **options) = shell_out!(command, **options)
    end

    module Language; end
    module Template; end
    module EnforceOwnershipAndPermissions; end
    module Securable; end
    module CreatePath
      def create_path(path) = FileUtils.mkdir_p(path) && path
    end

    module DeepMerge
      class << self
        def merge(a, b) = deep(a || {}, b || {})
        alias deep_merge merge
        def hash_only_merge(a, b) = a.merge(b) { |_, x, y| x.is_a?(Hash) && y.is_a?(Hash) ? hash_only_merge(x, y) : y }

        private

        def deep(a, b)
          return a | b if a.is_a?(Array) && b.is_a?(Array)
          return b unless a.is_a?(Hash) && b.is_a?(Hash)

          a.merge(b) { |_, x, y| deep(x, y) }
        end
      end
    end
  end
end
