//! Ruby in here behaves as Ruby on the machine: what WASI cannot do, what it says wrongly, limits and ends.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up is a failed test"
)]

mod harness;

use std::time::Duration;

use harness::Try;
use recipe::{Limits, RecipeError};

/// Evaluates expressions and compares what they inspect to.
fn all(cases: &[(&str, &str)]) {
    let ruby = Try::new();
    let folder = ruby.folder.path().display().to_string();
    let code: Vec<String> = cases
        .iter()
        .map(|(code, _)| {
            let code = code.replace("DIR", &folder);
            format!("(begin; ({code}).inspect; rescue Exception => e; \"#{{e.class}}: #{{e.message}}\"; end)")
        })
        .collect();
    let joined = ruby.eval(&format!("[{}].join(\"\\u0001\")", code.join(",\n")));
    let found: Vec<&str> = joined.split('\u{1}').collect();
    assert_eq!(found.len(), cases.len());
    let wrong = cases
        .iter()
        .zip(found)
        .filter(|((_, expected), found)| *found != expected.replace("DIR", &folder));
    let wrong: Vec<String> = wrong
        .map(|((code, expected), found)| format!("{code}\n   is {found}\n  not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn code_is_evaluated_by_the_ruby_that_is_pinned() {
    all(&[
        ("RUBY_VERSION", "\"4.0.0\""),
        ("RUBY_PLATFORM", "\"x86_64-linux\""),
        ("1 + 1", "2"),
    ]);
}

#[test]
fn the_image_is_of_these_sources_and_this_catalogue() {
    let kinds: Vec<_> = converge::resource::catalogue().collect();
    let catalogue = serde_json::to_string(&kinds).unwrap();
    let embedded = Try::new().eval("File.read('/__ruby__/jetpack/catalogue.json')");
    assert!(embedded == catalogue, "the image is stale: run `make ruby`");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ruby");
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&folder).unwrap().display().to_string();
            let embedded = Try::new().eval(&format!(
                "File.binread('/__ruby__/jetpack/{name}').force_encoding('UTF-8')"
            ));
            assert!(
                embedded == harness::read(&path),
                "the image is stale in {name}: run `make ruby`"
            );
        }
    }
}

#[test]
fn files_are_as_the_kernel_shows_them() {
    all(&[
        ("File.exist?('/usr/bin/env')", "true"),
        ("Dir.children('/usr').include?('share')", "true"),
        ("File.directory?('/var/run')", "true"),
        ("File.realpath('/var/run')", "\"/run\""),
        (
            "File.write('DIR/a', 'abc'); File.chmod(0640, 'DIR/a'); File.stat('DIR/a').mode.to_s(8)",
            "\"100640\"",
        ),
        (
            "[File.stat('DIR/a').size, File.stat('DIR/a').uid == Process.uid, File.stat('DIR/a').nlink]",
            "[3, true, 1]",
        ),
        ("`stat -c %a:%u DIR/a`.strip == \"640:#{Process.uid}\"", "true"),
        (
            "[File.executable?('/bin/sh'), File.executable?('/etc/passwd'), File.readable?('/etc/passwd')]",
            "[true, false, true]",
        ),
        ("File.world_readable?('/etc/passwd').to_s(8)", "\"644\""),
        ("[File.sticky?('/tmp'), File.sticky?('/etc')]", "[true, false]"),
        (
            "File.symlink('/etc/hostname', 'DIR/l'); [File.symlink?('DIR/l'), File.readlink('DIR/l'), File.ftype('DIR/l')]",
            "[true, \"/etc/hostname\", \"link\"]",
        ),
        ("File.read('DIR/l') == File.read('/etc/hostname')", "true"),
        (
            "File.symlink('/nowhere', 'DIR/d'); [File.exist?('DIR/d'), File.symlink?('DIR/d'), File.lstat('DIR/d').symlink?]",
            "[false, true, true]",
        ),
        (
            "File.mkfifo('DIR/f'); [File.pipe?('DIR/f'), File.ftype('DIR/f')]",
            "[true, \"fifo\"]",
        ),
        (
            "File.open('DIR/p', 'w', 0600) { |f| f << 'x' }; File.stat('DIR/p').mode.to_s(8)",
            "\"100600\"",
        ),
        (
            "File.write('DIR/q', 'x', perm: 0604); File.stat('DIR/q').mode.to_s(8)",
            "\"100604\"",
        ),
        (
            "Dir.mkdir('DIR/m', 0700); File.stat('DIR/m').mode.to_s(8)",
            "\"40700\"",
        ),
        (
            "old = File.umask(0077); File.write('DIR/u', ''); new = File.umask(old); [new.to_s(8), File.stat('DIR/u').mode.to_s(8)]",
            "[\"77\", \"100600\"]",
        ),
        (
            "File.utime(1, 2, 'DIR/a'); [File.atime('DIR/a').to_i, File.mtime('DIR/a').to_i]",
            "[1, 2]",
        ),
        (
            "File.open('DIR/a', 'r+') { |f| f.flock(File::LOCK_EX); f.seek(1); f.write('Z'); f.rewind; f.read }",
            "\"aZc\"",
        ),
        ("File.truncate('DIR/a', 1); File.read('DIR/a')", "\"a\""),
        (
            "File.link('DIR/a', 'DIR/h'); File.rename('DIR/h', 'DIR/h2'); File.stat('DIR/a').nlink",
            "2",
        ),
        (
            "FileUtils.mkdir_p('DIR/x/y', mode: 0750); FileUtils.touch('DIR/x/y/z'); FileUtils.cp_r('DIR/x', 'DIR/x2'); Dir.glob('DIR/x2/**/*').size",
            "2",
        ),
        (
            "FileUtils.install('/etc/hostname', 'DIR/ins', mode: 0444); File.stat('DIR/ins').mode.to_s(8)",
            "\"100444\"",
        ),
        ("FileUtils.rm_rf('DIR/x'); Dir.exist?('DIR/x')", "false"),
        (
            "Dir.chdir('DIR') { [Dir.pwd, File.exist?('a')] }",
            "[\"DIR\", true]",
        ),
        (
            "t = Tempfile.new('x'); t.write('y'); t.close; [File.read(t.path), File.stat(t.path).mode.to_s(8), t.unlink]",
            "[\"y\", \"100600\", true]",
        ),
        ("Dir.mktmpdir { |d| File.stat(d).mode.to_s(8) }", "\"40700\""),
        (
            "File.read('DIR/none')",
            "Errno::ENOENT: No such file or directory @ rb_sysopen - DIR/none",
        ),
        (
            "File.chmod(0600, 'DIR/none')",
            "Errno::ENOENT: No such file or directory - DIR/none",
        ),
        (
            "File.write('/__ruby__/x', '')",
            "Errno::EROFS: Read-only file system @ rb_sysopen - /__ruby__/x",
        ),
        (
            "File.blockdev?('/dev/null') || File.chardev?('/dev/null')",
            "true",
        ),
        (
            "IO.readlines('/etc/passwd').size == `wc -l < /etc/passwd`.to_i",
            "true",
        ),
        (
            "IO.copy_stream('/etc/hostname', 'DIR/copy') == File.size('/etc/hostname')",
            "true",
        ),
        ("Dir.entries('DIR').include?('..')", "true"),
        (
            "File.binwrite('DIR/bin', [0, 255, 10].pack('C*')); File.binread('DIR/bin').bytes",
            "[0, 255, 10]",
        ),
    ]);
}

#[test]
fn processes_are_real() {
    all(&[
        ("`echo hi`", "\"hi\\n\""),
        (
            "[system('true'), system('false'), system('/no/such/program')]",
            "[true, false, nil]",
        ),
        (
            "`exit 3`; [$?.exitstatus, $?.success?, $?.class.ancestors.include?(Process::Status)]",
            "[3, false, true]",
        ),
        ("`kill -9 $$`; [$?.signaled?, $?.termsig]", "[true, 9]"),
        (
            "Open3.capture3('cat; echo e >&2', stdin_data: 'in').first(2)",
            "[\"in\", \"e\\n\"]",
        ),
        ("Open3.capture2e('echo a; echo b >&2')[0]", "\"a\\nb\\n\""),
        (
            "IO.popen('cat', 'r+') { |io| io.write('x'); io.close_write; io.read }",
            "\"x\"",
        ),
        ("IO.popen(%w[echo a b]).read", "\"a b\\n\""),
        ("pid = spawn('exit 4'); Process.wait(pid); $?.exitstatus", "4"),
        (
            "Process.wait",
            "Errno::ECHILD: No child process - there is no such child",
        ),
        ("Process.pid == $$ && File.directory?(\"/proc/#{$$}\")", "true"),
        ("Process.kill(0, Process.pid)", "1"),
        ("Process.kill(0, 4194304)", "Errno::ESRCH: No such process - kill"),
        ("fork { }", "NotImplementedError: fork: use execute, or spawn"),
        ("Dir.chdir('DIR') { `pwd` }", "\"DIR\\n\""),
        ("ENV['X1'] = 'y'; `echo $X1`", "\"y\\n\""),
        ("system({ 'X2' => 'z' }, 'test \"$X2\" = z')", "true"),
        ("`/no/such/program 2>&1`.size > 5", "true"),
        ("Mixlib::ShellOut.new('exit 5').run_command.exitstatus", "5"),
        (
            "Mixlib::ShellOut.new('false').run_command.error! rescue $!.class",
            "Mixlib::ShellOut::ShellCommandFailed",
        ),
        (
            "Mixlib::ShellOut.new('sleep 100', timeout: 1).run_command rescue $!.class",
            "Mixlib::ShellOut::CommandTimeout",
        ),
        (
            "Mixlib::ShellOut.new('id -u', user: Process.uid).run_command.stdout.to_i == Process.uid",
            "true",
        ),
        (
            "Mixlib::ShellOut.new('umask', umask: '0027').run_command.stdout",
            "\"0027\\n\"",
        ),
        (
            "Mixlib::ShellOut.new('pwd', cwd: 'DIR').run_command.stdout",
            "\"DIR\\n\"",
        ),
        (
            "Mixlib::ShellOut.new(['echo', 'a  b']).run_command.stdout",
            "\"a  b\\n\"",
        ),
        (
            "Timeout.timeout(1) { `sleep 100` } rescue $!.class",
            "Timeout::Error",
        ),
        (
            "Timeout.timeout(1) { sleep 100 } rescue $!.class",
            "Timeout::Error",
        ),
        ("`head -c 300000 /dev/zero`.bytesize", "300000"),
    ]);
}

#[test]
fn users_time_and_names_are_those_of_the_machine() {
    all(&[
        (
            "[Etc.getpwnam('root').uid, Etc.getpwuid(0).name, Etc.getgrnam('root').gid, Etc.getgrgid(0).name]",
            "[0, \"root\", 0, \"root\"]",
        ),
        (
            "Etc.getpwnam('nobody-here')",
            "ArgumentError: can't find user for nobody-here",
        ),
        ("Etc.passwd { }; Etc.group { }.size > 1", "true"),
        ("Dir.home('root')", "\"/root\""),
        ("Etc.nprocessors == `nproc`.to_i", "true"),
        ("Etc.uname[:sysname]", "\"Linux\""),
        ("require 'socket'; Socket.gethostname == `uname -n`.strip", "true"),
        (
            "Time.now.utc_offset == `date +%z`.to_i / 100 * 3600 + `date +%z`.to_i % 100 * 60",
            "true",
        ),
        ("(Time.now.to_i - `date +%s`.to_i).abs < 3", "true"),
        (
            "Time.local(2024, 7, 1, 12).strftime('%Y-%m-%d %H')",
            "\"2024-07-01 12\"",
        ),
        ("IPAddr.new('10.0.0.0/8').include?('10.1.2.3')", "true"),
        ("IPSocket.getaddress('127.0.0.1')", "\"127.0.0.1\""),
        (
            "TCPSocket.new('127.0.0.1', 1) rescue $!.class",
            "Errno::ECONNREFUSED",
        ),
        ("Random.new_seed != 0", "true"),
    ]);
}

#[test]
fn the_standard_library_is_there() {
    all(&[
        ("JSON.parse('{\"a\": [1, null]}')", "{\"a\" => [1, nil]}"),
        (
            "YAML.load(\"a: [1, 2]\\nb: {c: d}\")",
            "{\"a\" => [1, 2], \"b\" => {\"c\" => \"d\"}}",
        ),
        (
            "ERB.new(\"<% 2.times do |i| -%>\\n<%= i %>\\n<% end -%>\", trim_mode: '-').result",
            "\"0\\n1\\n\"",
        ),
        ("Digest::SHA256.hexdigest('a')[0, 8]", "\"ca978112\""),
        (
            "Digest::MD5.file('/etc/hostname').hexdigest == `md5sum /etc/hostname`[0, 32]",
            "true",
        ),
        ("require 'zlib'; Zlib.gunzip(Zlib.gzip('x'))", "\"x\""),
        (
            "require 'openssl'; OpenSSL::HMAC.hexdigest('SHA256', 'k', 'd')[0, 6].size",
            "6",
        ),
        ("require 'csv'; CSV.parse('a,b')", "[[\"a\", \"b\"]]"),
        (
            "require 'rexml/document'; REXML::Document.new('<a><b>c</b></a>').root.elements['b'].text",
            "\"c\"",
        ),
        ("require 'net/http'; Net::HTTP.name", "\"Net::HTTP\""),
        ("require 'open-uri'; URI.respond_to?(:open)", "true"),
        ("Gem::Version.new('1.10') > Gem::Version.new('1.9')", "true"),
        ("Base64.strict_encode64('x')", "\"eA==\""),
        ("Shellwords.split(\"a 'b c'\")", "[\"a\", \"b c\"]"),
        ("Set.new([1, 1]).size", "1"),
        ("OpenStruct.new(a: 1).a", "1"),
        ("Pathname.new('/etc/../tmp').cleanpath.to_s", "\"/tmp\""),
        ("SecureRandom.hex(4).size", "8"),
        ("e = [1, 2].each; [e.next, e.next]", "[1, 2]"),
        ("Thread.new { 5 }.value", "5"),
        ("Thread.new { raise 'x' }.join rescue $!.message", "\"x\""),
        ("m = Mutex.new; m.synchronize { 1 }", "1"),
        (
            "require 'mixlib/shellout'; require 'chef/mixin/shell_out'; require 'json'; 1",
            "1",
        ),
        (
            "require 'no/such/thing'",
            "LoadError: cannot load such file -- no/such/thing",
        ),
        ("'ä'.encoding.to_s + 'ä'.size.to_s", "\"UTF-81\""),
    ]);
}

#[test]
fn deep_recursion_is_an_exception_and_no_crash() {
    all(&[
        (
            "def d1 = d1; begin; d1; rescue SystemStackError => e; e.class; end",
            "SystemStackError",
        ),
        (
            "def d2 = [1].each { d2 }; begin; d2; rescue SystemStackError => e; e.class; end",
            "SystemStackError",
        ),
        (
            "def d3(n) = n == 0 ? (begin; raise 'x'; rescue => e; e.message; end) : [1].map { d3(n - 1) }.first; d3(1000)",
            "\"x\"",
        ),
        (
            "def d4(n) = n == 0 ? (GC.start; 7) : [n].each { |x| return d4(x - 1) }; d4(300)",
            "7",
        ),
        (
            "def d5(n) = n == 0 ? 1 : instance_eval { d5(n - 1) }; d5(500)",
            "1",
        ),
        (
            "GC.stress = true; x = YAML.load('a: [1, {b: c}]'); GC.stress = false; x",
            "{\"a\" => [1, {\"b\" => \"c\"}]}",
        ),
        ("a = []; 200.times { a = [a] }; a.inspect.size", "402"),
    ]);
}

#[test]
fn nothing_leaks_in_what_recipes_do_often() {
    let ruby = Try::new();
    let code = r#"
    def leak(count)
      count.times { yield }
      # Memory grows in steps of 256 KiB, and one of them falls into some round: a leak grows in each.
      3.times.map do
        GC.start
        before = Jetpack.memory
        (count * 3).times { yield }
        GC.start
        (Jetpack.memory - before) / (count * 3)
      end.min
    end
    def thrower = raise('x')
    def returner = [1].each { return 1 }
    { raise: leak(2000) { begin; thrower; rescue; end },
      through: leak(2000) { begin; [1].each { {a: 1}.each { raise 'x' } }; rescue; end },
      return: leak(2000) { returner }, break: leak(2000) { [1, 2].each { break } },
      throw: leak(2000) { catch(:a) { [1].each { throw :a } } },
      json: leak(4000) { JSON.parse(JSON.generate('a' => [1, { 'b' => nil }])) },
      call: leak(500) { Jetpack.call('nproc') }, stat: leak(200) { File.stat('/etc/passwd').mode },
      erb: leak(100) { ERB.new('<%= 1 %>').result }, exec: leak(20) { `true` } }.select { |_, bytes| bytes > 64 }.inspect
    "#;
    assert_eq!(ruby.eval(code), "{}");
}

#[test]
fn an_exception_says_class_message_and_line() {
    let ruby = Try::new();
    let file = ruby.file(
        "x.rb",
        "def foo(x)\n  raise ArgumentError, \"bad #{x}\"\nend\n[1].each { |v| foo(v) }\n",
    );
    let (result, _) = ruby.try_eval(&format!("load {file:?}"));
    let Err(RecipeError::Failed(failure)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(
        (failure.class.as_str(), failure.message.as_str()),
        ("ArgumentError", "bad 1")
    );
    assert!(
        failure.backtrace[0].starts_with(&format!("{}:2:in", file.display())),
        "{failure:?}"
    );
    for (code, class) in [
        (
            "raise Class.new(Exception) { def message = raise('nested') }",
            "#<Class:",
        ),
        ("raise \"bytes \\xff\"", "RuntimeError"),
        ("throw :nope", "UncaughtThrowError"),
        ("Fiber.new { raise 'in fiber' }.resume", "RuntimeError"),
        ("raise Interrupt", "Interrupt"),
        ("raise SignalException, 'TERM'", "SignalException"),
        ("eval('foo(')", "SyntaxError"),
    ] {
        let (result, _) = ruby.try_eval(code);
        match result {
            Err(RecipeError::Failed(failure)) => {
                assert!(failure.class.starts_with(class), "{code}: {failure:?}")
            }
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[test]
fn ruby_can_end_itself_but_not_this_program() {
    let mut ruby = Try::new();
    let outcome = ruby.recipe("exit 3");
    assert!(
        matches!(outcome.result, Err(RecipeError::Exit { status: 3, .. })),
        "{:?}",
        outcome.result
    );
    let outcome = ruby.recipe("abort 'no more'");
    assert!(
        matches!(outcome.result, Err(RecipeError::Exit { status: 1, .. })),
        "{:?}",
        outcome.result
    );
    let outcome = ruby.recipe("exit!(7)");
    assert!(
        matches!(outcome.result, Err(RecipeError::Exit { status: 7, .. })),
        "{:?}",
        outcome.result
    );
    let place = ruby.path("cookbooks/t/recipes/default.rb").display().to_string();
    assert!(outcome.result.unwrap_err().to_string().contains(&place));
    let outcome = ruby.recipe("at_exit { puts 'at the end' }; puts 'before'");
    assert_eq!(outcome.output, "before\nat the end\n");
}

#[test]
fn endless_recipes_end_at_their_limit_with_their_place() {
    for code in [
        "loop { }",
        "loop { begin; loop { }; rescue Exception; end }",
        "sleep 1000",
        "`sleep 1000`",
        "system('sleep 1000')",
    ] {
        let mut ruby = Try::new();
        ruby.limits = Limits {
            time: Duration::from_millis(400),
            ..Limits::default()
        };
        let outcome = ruby.recipe(code);
        let error = outcome.result.unwrap_err();
        assert!(matches!(error, RecipeError::TimeLimit { .. }), "{code}: {error}");
        assert!(
            error.to_string().contains("cookbooks/t/recipes/default.rb"),
            "{code}: {error}"
        );
    }
}

#[test]
fn a_stop_ends_ruby_and_what_it_started() {
    for code in ["loop { }", "sleep 1000", "`sleep 1000`"] {
        let mut ruby = Try::new();
        let marker = ruby.path("begun");
        let stop = ruby.stop.clone();
        let seen = marker.clone();
        let waiter = std::thread::spawn(move || {
            while !seen.exists() {
                std::thread::yield_now();
            }
            stop.request();
        });
        let outcome = ruby.recipe(&format!("File.write({marker:?}, ''); {code}"));
        waiter.join().unwrap();
        let error = outcome.result.unwrap_err();
        assert!(matches!(error, RecipeError::Stopped { .. }), "{code}: {error}");
    }
}

#[test]
fn a_memory_bomb_is_an_exception() {
    let mut ruby = Try::new();
    ruby.limits = Limits {
        memory: 600 << 20,
        ..Limits::default()
    };
    let bomb = "a = []; loop { a << 'x' * 1_000_000 }";
    let outcome = ruby.recipe(bomb);
    let error = outcome.result.unwrap_err();
    assert!(error.to_string().contains("failed to allocate memory"), "{error}");
    let outcome = ruby.recipe(&format!(
        "begin; {bomb}; rescue NoMemoryError; a = nil; GC.start; puts 'alive'; end"
    ));
    assert_eq!(outcome.output, "alive\n");
}

#[test]
fn what_the_host_is_asked_in_vain_is_an_exception() {
    all(&[
        (
            "Jetpack.call('nonsense')",
            "NotImplementedError: there is no operation `nonsense`",
        ),
        ("Jetpack.call('apply', 5) rescue $!.class", "ArgumentError"),
        (
            "Jetpack.call('run', {}) rescue $!.message",
            "\"there is no command\"",
        ),
        (
            "Jetpack.call('chmod', ['/none', 'x']) rescue $!.class",
            "Errno::ENOENT",
        ),
        ("JS.eval('not json').to_s.include?('ArgumentError')", "true"),
        (
            "JS.eval(\"[\\\"stat\\\"]\").to_s.include?('ArgumentError')",
            "true",
        ),
    ]);
}
