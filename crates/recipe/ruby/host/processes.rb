# frozen_string_literal: true

module Jetpack
  class << self
    SHELL_SIGNS = /[*?{}\[\]<>()~&|\\$;'`"\n#=%]/
    SHELL_WORDS = %w[. : alias bg break case cd command continue do eval exec exit export fg for getopts hash if jobs local
                     read readonly return set shift source times trap type ulimit umask unalias unset until wait while].freeze

    # As Ruby itself does it: what has no need of a shell gets none.
    def words_of(command)
      return command if command.is_a?(Array) || command.match?(SHELL_SIGNS)

      words = command.split
      words.empty? || SHELL_WORDS.include?(words[0]) ? command : words
    end

    # Runs a command, a String through the shell or an Array of words. Returns its output, its errors and its status.
    def run(command, input: nil, cwd: nil, env: nil, user: nil, group: nil, umask: nil, timeout: nil, live: false)
      variables = ENV.to_h
      env&.each { |name, value| value.nil? ? variables.delete(name.to_s) : variables[name.to_s] = value.to_s }
      request = { cmd: words_of(command), cwd: File.expand_path((cwd || Dir.pwd).to_s), env: variables, live: live }
      request[:user] = user if user
      request[:group] = group if group
      request[:umask] = umask if umask
      limit = [timeout, Deadline.left].compact.min
      request[:timeout] = limit if limit
      $stdout.flush if live
      result, raw = call('run', request, input || '')
      output = (raw || '').byteslice(0, result['out'])
      errors = (raw || '').byteslice(result['out'], result['err'])
      $jetpack_status = Status.make(result['pid'], result['code'], result['sig'])
      raise Timeout::Error, "execution expired: #{command}" if result['timeout'] && timeout.nil?

      [output.force_encoding('UTF-8'), errors.force_encoding('UTF-8'), $jetpack_status, result['timeout']]
    end

    # The arguments of Kernel#spawn: command, and options of Jetpack.run.
    def command_of(arguments)
      env = arguments.first.is_a?(Hash) ? arguments.shift : nil
      options = arguments.last.is_a?(Hash) ? arguments.pop : {}
      first = arguments[0]
      words = arguments.size > 1 || first.is_a?(Array)
      arguments[0] = first[0] if first.is_a?(Array)
      [words ? arguments.map(&:to_s) : first.to_s,
       { env: env, cwd: options[:chdir], input: options[:stdin_data], umask: options[:umask] }]
    end
  end

  # What IO.popen returns: the command runs when its input is complete.
  class Pipe < StringIO
    attr_reader :pid

    def initialize(command, reads_only)
      super(+'')
      @command = command
      @input = +''
      finish if reads_only
    end

    def write(*texts) = @done ? super : texts.sum { |text| (@input << text.to_s) && text.to_s.bytesize }
    def close_write = finish

    def finish
      return if @done

      output, errors, status = Jetpack.run(@command, input: @input)
      $stderr.write(errors)
      @pid = status.pid
      @done = true
      self.string = output
    end

    def close
      finish
      super
    end

    %i[read gets getc each_line readlines readline each eof?].each do |name|
      define_method(name) do |*arguments, **options, &block|
        finish
        super(*arguments, **options, &block)
      end
    end
  end
end

module Kernel
  def `(command)
    output, errors, = Jetpack.run(command)
    $stderr.write(errors)
    output
  end

  def system(*arguments, exception: false, **options)
    arguments << options unless options.empty?
    command, run = Jetpack.command_of(arguments)
    output, errors, status = Jetpack.run(command, **run)
    $stdout.write(output)
    $stderr.write(errors)
    raise "Command failed with exit #{status.exitstatus}: #{command}" if exception && !status.success?

    status.success?
  rescue Errno::ENOENT
    raise if exception

    nil
  end

  def spawn(*arguments, **options)
    arguments << options unless options.empty?
    command, run = Jetpack.command_of(arguments)
    variables = ENV.to_h.merge((run[:env] || {}).transform_values { |value| value&.to_s }).compact
    Jetpack.call('spawn', { cmd: Jetpack.words_of(command), cwd: File.expand_path(run[:cwd] || Dir.pwd), env: variables })
  end

  def exec(*) = raise(NotImplementedError, 'exec: a recipe cannot replace its client')
  def fork(*) = raise(NotImplementedError, 'fork: use execute, or spawn')
  private :`, :system, :spawn, :exec, :fork

  class << self
    def `(command) = TOPLEVEL_BINDING.receiver.send(:`, command)
    def system(...) = TOPLEVEL_BINDING.receiver.send(:system, ...)
    def spawn(...) = TOPLEVEL_BINDING.receiver.send(:spawn, ...)
    def exec(...) = TOPLEVEL_BINDING.receiver.send(:exec, ...)
    def fork(...) = TOPLEVEL_BINDING.receiver.send(:fork, ...)
  end

  alias jetpack_sleep sleep
  def sleep(*time)
    left = Jetpack::Deadline.left
    return jetpack_sleep(*time) if left.nil? || (time[0] && time[0] <= left)

    jetpack_sleep(left)
    raise Timeout::Error, 'execution expired'
  end
  private :sleep
end

class IO
  class << self
    def popen(*arguments, **options)
      env = arguments.first.is_a?(Hash) ? arguments.shift : nil
      command, mode = arguments
      command = command.reject { |word| word.is_a?(Hash) } if command.is_a?(Array)
      io = Jetpack::Pipe.new(command, !(mode || options[:mode] || 'r').to_s.match?(/[w+]/))
      return io unless block_given?

      result = yield(io)
      io.close
      result
    end

    # Both ends are one text: nobody reads while another writes.
    def pipe(*) = (text = StringIO.new).then { block_given? ? yield(text, text) : [text, text] }
  end
end

module Open3
  class << self
    def capture3(*arguments, stdin_data: nil, binmode: nil, **options)
      arguments << options unless options.empty?
      command, run = Jetpack.command_of(arguments)
      Jetpack.run(command, **run, input: stdin_data).first(3)
    end

    def capture2(...)
      output, errors, status = capture3(...)
      $stderr.write(errors)
      [output, status]
    end

    def capture2e(*arguments, stdin_data: nil, binmode: nil, **options)
      arguments << options unless options.empty?
      command, run = Jetpack.command_of(arguments)
      command = command.is_a?(Array) ? ['/bin/sh', '-c', 'exec "$@" 2>&1', 'sh', *command] : "exec 2>&1\n#{command}"
      output, _, status = Jetpack.run(command, **run, input: stdin_data)
      [output, status]
    end

    def popen3(*arguments, **options)
      arguments << options unless options.empty?
      command, run = Jetpack.command_of(arguments)
      output, errors, status = Jetpack.run(command, **run)
      thread = Struct.new(:value, :pid) { def join(*) = self }.new(status, status.pid)
      results = [StringIO.new, StringIO.new(output), StringIO.new(errors), thread]
      block_given? ? yield(*results) : results
    end

    def popen2e(*arguments, **options)
      output, status = capture2e(*arguments, **options)
      thread = Struct.new(:value, :pid) { def join(*) = self }.new(status, status.pid)
      results = [StringIO.new, StringIO.new(output), thread]
      block_given? ? yield(*results) : results
    end
  end
end

module Process
  class << self
    %i[pid ppid uid euid gid egid groups].each do |name|
      define_method(name) { (@jetpack_ids ||= Jetpack.call('ids'))[name.to_s] }
    end

    def kill(signal, *pids)
      signal = Signal.list.fetch(signal.to_s.delete_prefix('SIG')) unless signal.is_a?(Integer)
      pids.each { |pid| Jetpack.call('kill', [signal, pid]) }.size
    end

    def getpgid(pid) = Jetpack.call('getpgid', pid)
    def wait(pid = -1, *) = ($jetpack_status = Jetpack::Status.make(*Jetpack.call('wait', pid))).pid
    alias waitpid wait
    def wait2(pid = -1, *) = [wait(pid), $jetpack_status]
    alias waitpid2 wait2
    def detach(pid) = Thread.new { wait(pid) && $jetpack_status }
    def last_status = $jetpack_status
    def spawn(...) = Kernel.spawn(...)
    def daemon(*) = raise(NotImplementedError, 'daemon: a recipe cannot replace its client')
    def jetpack_forget_ids = @jetpack_ids = nil
  end
end
