# frozen_string_literal: true

# The machine is never torn down, so that blocks of at_exit are kept here.
module Kernel
  def at_exit(&block)
    Jetpack::AT_EXIT << block
    block
  end
  private :at_exit
end

module Jetpack
  AT_EXIT = []

  class << self
    # Sets what depends on the node and on this run.
    def boot
      host = call('boot')
      ENV.replace(host['env'])
      srand(Random.new_seed)
      Dir.chdir(host['cwd'])
      $PROGRAM_NAME = 'jetpack'
      $VERBOSE = false
      Zone.use(host['zone'])
      $stdout.sync = true
      Process.jetpack_forget_ids
      $jetpack_pid = Process.pid
      nil
    end

    # Runs what recipes want to run at the end.
    def finish
      AT_EXIT.pop.call until AT_EXIT.empty?
      $stdout.flush
      nil
    end

    # The status of `exit` and `abort`; else none.
    attr_reader :exit_status

    def guard
      yield
    rescue SystemExit => e
      @exit_status = e.status
      raise
    end
  end
end

%i[RUBY_PLATFORM].each { |name| Object.send(:remove_const, name) }
RUBY_PLATFORM = 'x86_64-linux'
RbConfig::CONFIG.merge!('host_os' => 'linux-gnu', 'target_os' => 'linux', 'arch' => 'x86_64-linux', 'host_cpu' => 'x86_64')

module Gem
  VERSION = '4.0.3' unless const_defined?(:VERSION)
  class << self
    def loaded_specs = {}
    def ruby_version = Gem::Version.new(RUBY_VERSION)
  end
end
