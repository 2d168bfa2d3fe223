-- Survey answers as hospitals keep them; the schema is invented. Runs on PostgreSQL, MariaDB and SQLite.
CREATE TABLE phieu_khao_sat (
  id INTEGER PRIMARY KEY, ho_ten VARCHAR(200), dien_thoai VARCHAR(40), y_kien_khac VARCHAR(1000),
  ngay_tra_loi TIMESTAMP NULL, hai_long_chung VARCHAR(60)
);
CREATE TABLE danh_gia_tthc (
  id INTEGER PRIMARY KEY, ma_ho_so VARCHAR(60), nguoi_nop VARCHAR(200), ngay_danh_gia TIMESTAMP NULL, diem NUMERIC(4, 1)
);

INSERT INTO phieu_khao_sat VALUES
  (1, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', '5'),
  (2, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', '4'),
  (3, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', 'Rất hài lòng'),
  (4, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', 'HÀI LÒNG '),
  (5, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', '3'),
  (6, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', 'bình thường'),
  (7, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', '2'),
  (8, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', 'Rất không hài lòng'),
  (9, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', '6'),
  (10, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', '0'),
  (11, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 08:00:00', 'không trả lời'),
  (12, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-20 23:59:59', NULL),
  (13, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', '2026-11-21 00:00:00', '5'),
  (14, 'MARK-NAME', 'MARK-PHONE', 'MARK-TEXT', NULL, '5');

INSERT INTO danh_gia_tthc VALUES
  (1, 'MARK-FILE', 'MARK-NAME', '2026-11-20 08:00:00', 5.0), (2, 'MARK-FILE', 'MARK-NAME', '2026-11-20 08:00:00', 4),
  (3, 'MARK-FILE', 'MARK-NAME', '2026-11-20 08:00:00', 3), (4, 'MARK-FILE', 'MARK-NAME', '2026-11-20 08:00:00', 1),
  (5, 'MARK-FILE', 'MARK-NAME', '2026-11-20 08:00:00', 4.5), (6, 'MARK-FILE', 'MARK-NAME', '2026-11-20 08:00:00', NULL);
